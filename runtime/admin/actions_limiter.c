// An operator's hand on a limiter.

#include "admin/actions.h"
#include "resilience/limiter.h"
#include "script/guard.h"

bool wr_actions_limiter_resize(const struct wr_action_call *call, struct wr_error *error)
{
  uint32_t limit;
  return wr_action_number(call->value, WR_LIMITER_CALLS_MAX, &limit, error) &&
         wr_guard_resize(call->registry, call->entry, limit, call->now_ns, error);
}

bool wr_actions_limiter_reset(const struct wr_action_call *call, struct wr_error *error)
{
  return wr_guard_resize(call->registry, call->entry, 0, call->now_ns, error);
}
