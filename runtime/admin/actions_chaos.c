// An operator's hand on an experiment.

#include "admin/actions.h"
#include "base/duration.h"
#include "script/guard.h"

bool wr_actions_chaos_apply(const struct wr_action_call *call, struct wr_error *error)
{
  uint64_t for_ns = 0;
  if (call->value.ptr && (!wr_duration_parse(call->value, &for_ns) || for_ns == 0)) {
    wr_error_set(error, WR_ERROR_INVALID, "'%.*s' is not a time; write \"90s\" or \"5m\"",
                 WR_STR_ARG(call->value));
    return false;
  }
  return wr_guard_chaos_apply(call->registry, call->entry, for_ns, call->now_ns, error);
}

bool wr_actions_chaos_rollback(const struct wr_action_call *call, struct wr_error *error)
{
  if (wr_guard_chaos_rollback(call->registry, call->entry, call->now_ns)) return true;
  wr_error_set(error, WR_ERROR_REFUSED, "chaos '%s' is not applied", call->entry->name);
  return false;
}
