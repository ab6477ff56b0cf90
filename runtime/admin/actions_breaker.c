// An operator's hand on a breaker.

#include "admin/actions.h"
#include "script/guard.h"

static bool force(const struct wr_action_call *call, enum wr_breaker_mode mode,
                  struct wr_error *error)
{
  if (wr_guard_breaker_force(call->registry, call->entry, mode, call->now_ns)) return true;
  wr_error_set(error, WR_ERROR_CLOSED, "the breaker is gone");
  return false;
}

bool wr_actions_breaker_open(const struct wr_action_call *call, struct wr_error *error)
{
  return force(call, WR_BREAKER_MODE_FORCED_OPEN, error);
}

bool wr_actions_breaker_close(const struct wr_action_call *call, struct wr_error *error)
{
  return force(call, WR_BREAKER_MODE_FORCED_CLOSED, error);
}

bool wr_actions_breaker_reset(const struct wr_action_call *call, struct wr_error *error)
{
  return wr_guard_breaker_reset(call->registry, call->entry, call->now_ns, error);
}

bool wr_actions_breaker_auto(const struct wr_action_call *call, struct wr_error *error)
{
  return force(call, WR_BREAKER_MODE_NORMAL, error);
}
