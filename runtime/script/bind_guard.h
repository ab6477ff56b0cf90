#pragma once
/// Breakers, bulkheads and budgets in scripts: what C calls back.

#include "script/task.h"

/// The task waiting in a bulkhead's queue got its slot, or was refused.
void wr_bind_guard_granted(struct wr_task *t, bool granted);
