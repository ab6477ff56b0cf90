#pragma once
/// What a stress run tries on retry budgets. Included by stress_kinds.h alone.

#include "stress.h"
#include "stress_rolling.h"

static inline void stress_budget_config(void *config, uint32_t variant)
{
  struct wr_budget_config *c = config;
  wr_budget_config_init(c);
  c->span_ns = (variant + 1) * WR_SECOND;
}

static inline void stress_budget_vary(void *config, struct wr_rng *rng)
{
  struct wr_budget_config *c = config;
  c->ratio = 0.1 * (double)wr_rng_below(rng, 11);
}

static inline bool stress_budget_act(struct stress_worker *me, struct wr_entry *entry, uint64_t now)
{
  if (wr_rng_below(&me->rng, 2)) {
    wr_guard_budget_deposit(&me->guard, entry, now);
  } else {
    wr_guard_budget_withdraw(&me->guard, entry, now);
  }
  return true;
}

static inline void stress_budget_check(struct wr_registry *r, struct wr_entry *entry,
                                       const struct stress_rows *rows, uint64_t now_ns)
{
  (void)r, (void)now_ns;
  struct wr_budget *b = entry->state;
  WR_CHECK(rows->live == 0 && rows->waiting == 0);
  stress_rolling_check(&b->rolling);
  double left = wr_budget_remaining(b, now_ns);
  WR_CHECK(left >= 0 && left <= 1);
}

static const struct stress_kind stress_budget = {
    .configure = stress_budget_config,
    .vary = stress_budget_vary,
    .act = stress_budget_act,
    .check = stress_budget_check,
};
