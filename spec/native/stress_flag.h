#pragma once
/// What a stress run tries on feature flags. Included by stress_kinds.h alone.

#include "resilience/flag.h"
#include "stress.h"

static inline void stress_flag_config(void *config, uint32_t variant)
{
  struct wr_flag_config *c = config;
  c->share = variant * WR_FLAG_WHOLE / 2;
}

static inline void stress_flag_vary(void *config, struct wr_rng *rng)
{
  struct wr_flag_config *c = config;
  c->share = (uint32_t)wr_rng_below(rng, WR_FLAG_WHOLE + 1);
}

static inline bool stress_flag_act(struct stress_worker *me, struct wr_entry *entry, uint64_t now)
{
  uint32_t place = (uint32_t)wr_rng_below(&me->rng, WR_FLAG_WHOLE);
  struct wr_guard_flag_order order = {
      .is_reset = wr_rng_below(&me->rng, 2) == 0,
      .share = place,
      .actor = WR_FLAG_ACTOR_SCRIPT,
      .why = WR_STR("stress"),
  };
  if (wr_rng_below(&me->rng, 20) == 0) {
    WR_CHECK(wr_guard_flag_order(&me->registry, entry, &order, now));
  } else {
    WR_CHECK(wr_flag_evaluate(entry->state, place, place % 2) < WR_FLAG_RESULTS);
  }
  return true;
}

static inline void stress_flag_check(struct wr_registry *r, struct wr_entry *entry,
                                     const struct stress_rows *rows, uint64_t now_ns)
{
  (void)r, (void)now_ns;
  const struct wr_flag *f = entry->state;
  WR_CHECK(rows->live == 0 && rows->waiting == 0);
  WR_CHECK(wr_flag_share(f) <= WR_FLAG_WHOLE);
  WR_CHECK(f->is_overridden || wr_flag_share(f) == f->config.share);
  WR_CHECK(memchr(f->why, '\0', sizeof(f->why)) != NULL);
}

static const struct stress_kind stress_flag = {
    .configure = stress_flag_config,
    .vary = stress_flag_vary,
    .act = stress_flag_act,
    .check = stress_flag_check,
};
