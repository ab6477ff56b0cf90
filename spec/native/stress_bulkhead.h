#pragma once
/// What a stress run tries on bulkheads. Included by stress_kinds.h alone.

#include "stress.h"
#include "stress_limiter.h"
#include "stress_list.h"

static inline void stress_bulkhead_config(void *config, uint32_t variant)
{
  struct wr_bulkhead_config *c = config;
  c->max = 3 + 2 * variant;
  c->queue = 16;
  c->max_keys = variant == 1 ? 40 : 0;
  c->wait_ns = 400 * STEP_NS;
  c->order = variant == 2 ? WR_BULKHEAD_ADAPTIVE : WR_BULKHEAD_FIFO;
  c->target_ns = 20 * STEP_NS;
  c->interval_ns = 100 * STEP_NS;
}

static inline void stress_bulkhead_vary(void *config, struct wr_rng *rng)
{
  struct wr_bulkhead_config *c = config;
  c->max = 2 + (uint32_t)wr_rng_below(rng, 12);
  c->shadow = wr_rng_below(rng, 8) == 0;
  if (wr_rng_below(rng, 16) == 0) c->max_keys = 40 * (uint32_t)wr_rng_below(rng, 3);
}

static inline void stress_bulkhead_check(struct wr_registry *r, struct wr_entry *entry,
                                         const struct stress_rows *rows, uint64_t now_ns)
{
  (void)r, (void)now_ns;
  const struct wr_bulkhead *b = entry->state;
  WR_CHECK(b->in_use == rows->live);
  WR_CHECK(b->queued == rows->waiting);
  uint32_t in_use = b->all.in_use;
  uint32_t queued = b->all.queued;
  uint32_t busy = 0;
  stress_list_check(&b->all.waiters, b->all.queued);
  const struct wr_bulkhead_room *room = (const struct wr_bulkhead_room *)b->rooms;
  const char *end = (const char *)b + wr_bulkhead_bytes(&b->config);
  for (; (const char *)room < end; room++) {
    if (room->head.key == 0) continue;
    stress_list_check(&room->waiters, room->queued);
    WR_CHECK(room->queued == 0 || room->in_use >= b->config.max);
    queued += room->queued;
    in_use += room->in_use;
    busy += room->in_use > 0 || room->queued > 0;
  }
  WR_CHECK(in_use == rows->live && queued == rows->waiting && busy == b->keys);
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
    .ask = stress_keyed_ask,
    .check = stress_bulkhead_check,
    .check_empty = stress_bulkhead_empty,
};
