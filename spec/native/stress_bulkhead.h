#pragma once
/// What a stress run tries on bulkheads. Included by stress_kinds.h alone.

#include "stress.h"
#include "stress_list.h"

static inline void stress_bulkhead_config(void *config, uint32_t variant)
{
  struct wr_bulkhead_config *c = config;
  c->max = 3 + 2 * variant;
  c->queue = 16;
  c->wait_ns = 400 * STEP_NS;
  c->order = variant == 2 ? WR_BULKHEAD_ADAPTIVE : WR_BULKHEAD_FIFO;
  c->target_ns = 20 * STEP_NS;
  c->interval_ns = 100 * STEP_NS;
}

static inline void stress_bulkhead_vary(void *config, struct wr_rng *rng)
{
  struct wr_bulkhead_config *c = config;
  c->max = 2 + (uint32_t)wr_rng_below(rng, 12);
}

static inline void stress_bulkhead_check(struct wr_registry *r, struct wr_entry *entry,
                                         const struct stress_rows *rows, uint64_t now_ns)
{
  (void)r, (void)now_ns;
  const struct wr_bulkhead *b = entry->state;
  WR_CHECK(b->in_use == rows->live);
  WR_CHECK(b->queued == rows->waiting);
  stress_list_check(&b->waiters, rows->waiting);
}

static inline void stress_bulkhead_empty(struct wr_entry *entry, uint64_t now_ns)
{
  (void)now_ns;
  const struct wr_bulkhead *b = entry->state;
  WR_CHECK(b->in_use == 0 && b->queued == 0);
}

static const struct stress_kind stress_bulkhead = {
    .configure = stress_bulkhead_config,
    .vary = stress_bulkhead_vary,
    .check = stress_bulkhead_check,
    .check_empty = stress_bulkhead_empty,
};
