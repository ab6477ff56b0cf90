#pragma once
/// Several layers of a policy in one step: what neighbouring layers open around a call is opened
/// and closed by one call from Lua, in their order. A queue among them is waited in, and the rest
/// goes on from there.

#include "script/task.h"

struct wr_plan;

/// The task waits in a queue of its plan and was admitted (and holds it by now). Goes on with what
/// follows, and resumes the task at the end of it.
void wr_bind_plan_on_admitted(struct wr_task *t);
