#pragma once
/// What a stress run tries on breakers. Included by stress_kinds.h alone.

#include "stress.h"

static inline void stress_breaker_config(void *config, uint32_t variant)
{
  struct wr_breaker_config *c = config;
  wr_breaker_config_init(c);
  c->open_ns = 200 * STEP_NS;
  c->open_max_ns = 2000 * STEP_NS;
  c->attempt_timeout_ns = 300 * STEP_NS;
  c->half_open_ns = 1000 * STEP_NS;
  c->ramp_ns = variant == 1 ? 500 * STEP_NS : 0;
  c->slow_call_ns = variant == 2 ? 2000 * STEP_NS : 0;
  c->slow_rate = variant == 2 ? 0.5 : 0;
  c->consecutive = variant == 0 ? 3 : 0;
}

static inline void stress_breaker_vary(void *config, struct wr_rng *rng)
{
  struct wr_breaker_config *c = config;
  c->failure_rate = 0.25 * (double)(1 + wr_rng_below(rng, 4));
  c->min_calls = 1 + (uint32_t)wr_rng_below(rng, 40);
  c->open_ns = (100 + wr_rng_below(rng, 200)) * STEP_NS;
  c->mode = (uint8_t)(wr_rng_below(rng, 8) ? 0 : wr_rng_below(rng, WR_BREAKER_MODES));
}

static inline void stress_breaker_check(struct wr_registry *r, struct wr_entry *entry,
                                        const struct stress_rows *rows, uint64_t now_ns)
{
  const struct wr_breaker *b = entry->state;
  uint32_t live[2] = {0, 0};
  uint64_t at = 0;
  struct wr_row *row;
  WR_CHECK(rows->waiting == 0);
  while ((row = wr_ledger_each(r->arena, wr_registry_ref(entry), &at, NULL))) {
    const struct wr_ticket *t = (const struct wr_ticket *)row->payload;
    WR_CHECK(!t->done);
    if (t->generation == b->generation) live[t->kind == WR_TICKET_PROBE]++;
  }
  WR_CHECK(b->inflight.count == live[0]);
  // A lease that lapsed is a verdict; its call may still be running.
  WR_CHECK(b->probes.live <= live[1]);
  WR_CHECK(b->probes.live <= b->config.probes);
  // Invariant 1: the time of half-open is bounded, and it is over when it is over.
  if (b->state != WR_BREAKER_HALF_OPEN) return;
  WR_CHECK(b->until_ns <= b->since_ns + b->config.half_open_ns && b->until_ns > now_ns);
}

static inline void stress_breaker_empty(struct wr_entry *entry, uint64_t now_ns)
{
  struct wr_breaker_stats stats;
  wr_breaker_stats(entry->state, now_ns, &stats);
  WR_CHECK(stats.inflight == 0 && stats.probes == 0);
}

static const struct stress_kind stress_breaker = {
    .configure = stress_breaker_config,
    .vary = stress_breaker_vary,
    .check = stress_breaker_check,
    .check_empty = stress_breaker_empty,
};
