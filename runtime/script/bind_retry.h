#pragma once
/// What an attempt's results say, for the layers that may repeat it. For bind_*.c.

#include "resilience/retry.h"
#include "script/task.h"

#include <lua.h>

/// Reads the `on` list (error kinds by name, statuses by number) of the options at index 2 into
/// `on`, which stays as it is without one. NULL, or what is wrong with it.
const char *wr_bind_retry_on(lua_State *L, struct wr_retry_on *on);

/// Fills kind, status, `retryable` and `after_ns` from an attempt's results, a value at `index` and
/// its error behind it. False when they are no failure: a value, or a response below 400.
bool wr_bind_retry_read(lua_State *L, int index, struct wr_retry_input *input);

/// A first attempt is about to start: `handle` is what core.retry made. Its scope is the task's.
void wr_bind_retry_enter(struct wr_task *t, void *handle);
