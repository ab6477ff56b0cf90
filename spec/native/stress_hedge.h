#pragma once
/// What a stress run tries on hedges. Included by stress_kinds.h alone.

#include "script/guard_hedge.h"
#include "stress.h"
#include "stress_rolling.h"

static inline void stress_hedge_config(void *config, uint32_t variant)
{
  struct wr_hedge_config *c = config;
  wr_hedge_config_init(c);
  c->window_ns = WR_SECOND;
  c->max_extra_load = 0.1 * (double)(variant + 1);
}

static inline void stress_hedge_vary(void *config, struct wr_rng *rng)
{
  struct wr_hedge_config *c = config;
  c->min_delay_ns = wr_rng_below(rng, 5) * WR_MS;
}

static inline bool stress_hedge_act(struct stress_worker *me, struct wr_entry *entry, uint64_t now)
{
  struct wr_guard *g = &me->guard;
  struct wr_entry *budget = me->world->entries[WR_KIND_BUDGET][0];
  uint64_t took_ns = wr_rng_below(&me->rng, 50) * WR_MS;
  uint64_t dice = wr_rng_below(&me->rng, 100);
  if (dice < 45) {
    WR_CHECK(wr_guard_hedge_begin(g, entry, now) > 0);
  } else if (dice < 55) {
    wr_guard_hedge_pay(g, entry, dice % 2 ? budget : NULL, dice < 50, now);
  } else if (dice < 99) {
    enum wr_hedge_end end = (enum wr_hedge_end)wr_rng_below(&me->rng, WR_HEDGE_ENDS);
    wr_guard_hedge_end(g, entry, end, took_ns, now);
  } else {
    wr_guard_hedge_unsafe(g, entry, now);
  }
  return true;
}

static inline void stress_hedge_check(struct wr_registry *r, struct wr_entry *entry,
                                      const struct stress_rows *rows, uint64_t now_ns)
{
  (void)now_ns;
  const struct wr_hedge *h = entry->state;
  const struct wr_hedge_counters *c = &h->counters;
  WR_CHECK(rows->live == 0 && rows->waiting == 0);
  stress_rolling_check(&h->load.rolling);
  // Invariant 6: the extra load is bounded from the beginning; a death may have lost a call.
  double most = h->config.max_extra_load * (double)c->calls;
  WR_CHECK((double)(c->slow + c->failed) <=
           most + 1 + (double)atomic_load(&r->arena->header->repairs));
}

static const struct stress_kind stress_hedge = {
    .configure = stress_hedge_config,
    .vary = stress_hedge_vary,
    .act = stress_hedge_act,
    .check = stress_hedge_check,
};
