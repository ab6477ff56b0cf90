#pragma once
/// Background tasks for other bindings.

#include "script/task.h"

/// Runs the function and `nargs` arguments on top of L's stack (popped) at the end of this turn, as
/// a task of its own that is bound to nobody's end. What it raises is logged. NULL with a set error
/// at the task limit.
struct wr_task *wr_bind_task_spawn(lua_State *L, int nargs, struct wr_error *error);
