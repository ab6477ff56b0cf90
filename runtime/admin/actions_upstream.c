// An operator's hand on the endpoints of an upstream.

#include "admin/actions.h"
#include "script/guard.h"

static bool order(const struct wr_action_call *call, const struct wr_roster_order *what,
                  struct wr_error *error)
{
  struct wr_roster_order signed_by = *what;
  signed_by.by = call->by;
  return wr_guard_endpoint_order(call->registry, call->entry, &signed_by, call->now_ns, error);
}

bool wr_actions_upstream_drain(const struct wr_action_call *call, struct wr_error *error)
{
  return order(call, &(struct wr_roster_order){.url = call->value, .is_drained = true}, error);
}

// "http://10.0.0.1:80 5"
bool wr_actions_upstream_weight(const struct wr_action_call *call, struct wr_error *error)
{
  struct wr_str rest = call->value;
  struct wr_roster_order weight = {.url = wr_str_split(&rest, ' ')};
  return wr_action_number(rest, WR_BALANCE_WEIGHT_MAX, &weight.weight, error) &&
         order(call, &weight, error);
}

bool wr_actions_upstream_reset(const struct wr_action_call *call, struct wr_error *error)
{
  return order(call, &(struct wr_roster_order){.url = call->value}, error);
}
