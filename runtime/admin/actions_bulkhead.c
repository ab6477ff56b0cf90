// An operator's hand on a bulkhead.

#include "admin/actions.h"
#include "resilience/bulkhead.h"
#include "script/guard.h"

bool wr_actions_bulkhead_resize(const struct wr_action_call *call, struct wr_error *error)
{
  uint32_t max;
  return wr_action_number(call->value, WR_BULKHEAD_MAX, &max, error) &&
         wr_guard_resize(call->registry, call->entry, max, call->now_ns, error);
}

bool wr_actions_bulkhead_reset(const struct wr_action_call *call, struct wr_error *error)
{
  return wr_guard_resize(call->registry, call->entry, 0, call->now_ns, error);
}
