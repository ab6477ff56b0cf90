#include "policy/bypass.h"

bool wr_bypass_enter(struct wr_serving *s, struct wr_error *refusal)
{
  struct wr_script_env *env = s->serve->env;
  if (s->route->breaker == NULL) return true;
  struct wr_guard_ask ask = {0};
  uint64_t now = wr_loop_now(env->loop);
  bool may = wr_guard_enter(env->guard, s->route->breaker, &ask, now, refusal) != WR_GUARD_REFUSED;
  s->admission = may ? ask.id : 0;
  s->is_bypassed = !may;
  return may;
}

static enum wr_outcome outcome_of(enum wr_handler_end end)
{
  switch (end) {
  case WR_HANDLER_RAISED:
  case WR_HANDLER_WRONG: return WR_OUTCOME_FAILURE;
  case WR_HANDLER_CANCELLED: return WR_OUTCOME_CANCELLED;
  case WR_HANDLER_RESPONSE:
  case WR_HANDLER_TEXT:
  case WR_HANDLER_ERROR: break;
  }
  return WR_OUTCOME_SUCCESS;
}

void wr_bypass_leave(struct wr_serving *s, enum wr_handler_end end)
{
  if (s->admission == 0) return;
  struct wr_script_env *env = s->serve->env;
  wr_guard_leave(env->guard, s->admission, outcome_of(end), wr_loop_now(env->loop));
  s->admission = 0;
}
