#include "policy/shedding.h"

#include "script/meter.h"

#include <stdio.h>

#define SHED_AFTER_NS WR_SECOND // what is overloaded now may not be in as long

static bool is_shed(struct wr_serving *s, enum wr_priority priority)
{
  const struct wr_declarations *d = &s->generation->script->declared;
  if (s->route->is_exempt || !wr_overload_is_on(&d->overload)) return false;
  if (!wr_overload_sheds(&s->serve->overload, priority)) return false;
  wr_meter_add(s->serve->env->meter, WR_METRIC_OVERLOAD_SHED, 1, "priority",
               wr_priority_name(priority), "kind", d->overload_shadow ? "shadow" : "shed", NULL);
  return !d->overload_shadow;
}

bool wr_shedding_refuses(struct wr_serving *s, struct wr_error *refusal)
{
  struct wr_trail *trail = &s->request.trail;
  enum wr_priority priority = (enum wr_priority)s->request.priority;
  if (!is_shed(s, priority)) return false;
  wr_error_set(refusal, WR_ERROR_SHED, "weir.overload: requests of priority %s are shed",
               wr_priority_name(priority));
  refusal->after_ns = SHED_AFTER_NS;
  snprintf(refusal->primitive, sizeof(refusal->primitive), "overload");
  trail->refused_after_ns = SHED_AFTER_NS;
  wr_trail_name(trail->refused_by, WR_STR("overload"));
  uint64_t now = wr_loop_now(s->serve->env->loop);
  struct wr_chain_link *link = wr_chain_add(&trail->chain, WR_DECISION_ADMISSION, WR_STR(""), now);
  if (link == NULL) return true;
  link->kind = WR_STR("overload");
  link->result = wr_str_of(wr_error_why(WR_ERROR_SHED));
  link->why = wr_chain_text(&trail->chain, wr_str_of(refusal->message));
  return true;
}
