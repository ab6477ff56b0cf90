#pragma once
/// What a stress run tries on shedders. Included by stress_kinds.h alone.

#include "resilience/shedder.h"
#include "stress.h"
#include "stress_list.h"

static inline void stress_shedder_config(void *config, uint32_t variant)
{
  static const uint8_t rules[VARIANTS] = {WR_ADAPTIVE_FIXED, WR_ADAPTIVE_AIMD,
                                          WR_ADAPTIVE_GRADIENT2};
  struct wr_shedder_config *c = config;
  wr_shedder_config_init(c);
  c->limit.rule = rules[variant];
  c->limit.min = 2;
  c->limit.max = 12;
  c->limit.initial = 4;
  c->limit.window_ns = 50 * STEP_NS;
  c->limit.max_healthy_ns = 200 * STEP_NS;
  c->queue = 16;
  c->wait_ns = 400 * STEP_NS;
}

static inline void stress_shedder_vary(void *config, struct wr_rng *rng)
{
  struct wr_shedder_config *c = config;
  c->limit.max = 4 + (uint32_t)wr_rng_below(rng, 12);
  c->queue = (uint32_t)wr_rng_below(rng, 17);
  c->limit.rule = (uint8_t)wr_rng_below(rng, WR_ADAPTIVE_RULES);
  c->shadow = wr_rng_below(rng, 8) == 0;
}

static inline void stress_shedder_ask(struct wr_guard_ask *ask, struct wr_rng *rng)
{
  ask->priority = (uint8_t)wr_rng_below(rng, WR_PRIORITIES);
}

static inline void stress_shedder_check(struct wr_registry *r, struct wr_entry *entry,
                                        const struct stress_rows *rows, uint64_t now_ns)
{
  (void)now_ns;
  const struct wr_shedder *s = entry->state;
  uint32_t waiting[WR_PRIORITIES] = {0};
  uint64_t at = 0;
  struct wr_row *row;
  WR_CHECK(s->in_use == rows->live && s->queued == rows->waiting);
  while ((row = wr_ledger_each(r->arena, wr_registry_ref(entry), &at, NULL))) {
    // Another state's row may be its owner's alone.
    if (atomic_load(&row->state) != WR_ROW_WAITING) continue;
    waiting[((const struct wr_shedder_waiter *)row->payload)->priority]++;
  }
  for (int i = 0; i < WR_PRIORITIES; i++) stress_list_check(&s->waiters[i], waiting[i]);
  stress_list_check(&s->preempted, 0);
  // Invariant 11: the limit stays within its bounds.
  const struct wr_adaptive_config *limit = &s->config.limit;
  WR_CHECK(wr_shedder_limit(s) >= limit->min && wr_shedder_limit(s) <= limit->max);
}

static inline void stress_shedder_empty(struct wr_entry *entry, uint64_t now_ns)
{
  (void)now_ns;
  const struct wr_shedder *s = entry->state;
  WR_CHECK(s->in_use == 0 && s->queued == 0);
}

static const struct stress_kind stress_shedder = {
    .configure = stress_shedder_config,
    .vary = stress_shedder_vary,
    .ask = stress_shedder_ask,
    .check = stress_shedder_check,
    .check_empty = stress_shedder_empty,
};
