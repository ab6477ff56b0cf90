#pragma once
/// What a stress run tries on limiters. Included by stress_kinds.h alone.

#include "stress.h"
#include "stress_list.h"

#define STRESS_KEY UINT64_C(0x9e3779b97f4a7c15)

static inline void stress_limiter_config(void *config, uint32_t variant)
{
  struct wr_limiter_config *c = config;
  c->period_ns = WR_SECOND;
  c->limit = variant > 0 ? 100 : 2000;
  c->burst = 5;
  c->max_keys = variant > 0 ? 40 : 0;
  c->algorithm = variant == 2 ? WR_LIMITER_SLIDING : WR_LIMITER_GCRA;
}

static inline void stress_limiter_vary(void *config, struct wr_rng *rng)
{
  struct wr_limiter_config *c = config;
  if (wr_rng_below(rng, 8) == 0) c->algorithm = !c->algorithm;
  if (wr_rng_below(rng, 8) == 0) c->max_keys = 40 * (uint32_t)wr_rng_below(rng, 3);
  uint32_t least = c->max_keys ? 50 : 1000; // of a key, or of all: some wait, some pass
  c->limit = least + (uint32_t)wr_rng_below(rng, (uint64_t)4 * least);
  c->shadow = wr_rng_below(rng, 8) == 0;
}

static inline void stress_keyed_ask(struct wr_guard_ask *ask, struct wr_rng *rng)
{
  ask->key = wr_rng_below(rng, 60) * STRESS_KEY; // 0: none
  ask->cost = 1 + (uint32_t)wr_rng_below(rng, 3);
}

// Now and then an upstream asks for a pause.
static inline bool stress_limiter_act(struct stress_worker *me, struct wr_entry *entry,
                                      uint64_t now)
{
  if (wr_rng_below(&me->rng, 100) > 0) return stress_admission(me, entry, now);
  uint64_t until_ns = now + wr_rng_below(&me->rng, 200) * STEP_NS;
  wr_guard_limiter_drain(&me->registry, entry, wr_rng_below(&me->rng, 60) * STRESS_KEY, until_ns,
                         now);
  return true;
}

static inline void stress_limiter_check(struct wr_registry *r, struct wr_entry *entry,
                                        const struct stress_rows *rows, uint64_t now_ns)
{
  (void)r, (void)now_ns;
  const struct wr_limiter *l = entry->state;
  WR_CHECK(l->waiting == rows->waiting);
  stress_list_check(&l->waiters, rows->waiting);
}

static inline void stress_limiter_empty(struct wr_entry *entry, uint64_t now_ns)
{
  // A window of 5000 calls that became a debt at 50 calls a second.
  WR_CHECK(wr_limiter_is_idle(entry->state, now_ns + (100 + 10) * WR_SECOND));
}

static const struct stress_kind stress_limiter = {
    .configure = stress_limiter_config,
    .vary = stress_limiter_vary,
    .ask = stress_keyed_ask,
    .act = stress_limiter_act,
    .check = stress_limiter_check,
    .check_empty = stress_limiter_empty,
};
