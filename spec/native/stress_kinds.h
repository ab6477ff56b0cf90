#pragma once
/// What a stress run tries on each kind of primitive, and what must be true of it at any time: one
/// row for each kind in `stress_kinds` at the end. Included by stress.h alone.

#include "arena/cache.h"
#include "resilience/throttle.h"
#include "stress.h"

// Breaker

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

// Bulkhead

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

static inline void stress_queue_check(const struct wr_list *head, uint32_t waiting)
{
  uint32_t linked = 0;
  for (const struct wr_list *l = head->next; l != head; l = l->next) {
    WR_CHECK(l->next->prev == l && ++linked <= waiting);
  }
  WR_CHECK(linked == waiting);
}

static inline void stress_bulkhead_check(struct wr_registry *r, struct wr_entry *entry,
                                         const struct stress_rows *rows, uint64_t now_ns)
{
  (void)r, (void)now_ns;
  const struct wr_bulkhead *b = entry->state;
  WR_CHECK(b->in_use == rows->live);
  WR_CHECK(b->queued == rows->waiting);
  stress_queue_check(&b->waiters, rows->waiting);
}

static inline void stress_bulkhead_empty(struct wr_entry *entry, uint64_t now_ns)
{
  (void)now_ns;
  const struct wr_bulkhead *b = entry->state;
  WR_CHECK(b->in_use == 0 && b->queued == 0);
}

// Counts over a time

static inline void stress_rolling_check(const struct wr_rolling *rolling)
{
  for (int c = 0; c < WR_ROLLING_COLUMNS; c++) {
    uint64_t sum = 0;
    for (int s = 0; s < WR_ROLLING_SLOTS; s++) sum += rolling->slot[s][c];
    WR_CHECK(sum == rolling->sum[c]);
  }
}

// Retry budget

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

static inline void stress_budget_act(struct stress_worker *me, struct wr_entry *entry, uint64_t now)
{
  if (wr_rng_below(&me->rng, 2)) {
    wr_guard_budget_deposit(&me->guard, entry, now);
  } else {
    wr_guard_budget_withdraw(&me->guard, entry, now);
  }
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

// Throttle

static inline void stress_throttle_config(void *config, uint32_t variant)
{
  struct wr_throttle_config *c = config;
  wr_throttle_config_init(c);
  c->window_ns = (variant + 1) * WR_SECOND;
}

static inline void stress_throttle_vary(void *config, struct wr_rng *rng)
{
  struct wr_throttle_config *c = config;
  c->ratio = 1 + (double)wr_rng_below(rng, 3);
}

static inline void stress_throttle_check(struct wr_registry *r, struct wr_entry *entry,
                                         const struct stress_rows *rows, uint64_t now_ns)
{
  (void)r;
  struct wr_throttle *t = entry->state;
  WR_CHECK(rows->waiting == 0);
  stress_rolling_check(&t->rolling);
  double refused = wr_throttle_probability(t, now_ns);
  WR_CHECK(refused >= 0 && refused <= t->config.max_refused);
}

// Cache

static inline void stress_cache_config(void *config, uint32_t variant)
{
  struct wr_cache_config *c = config;
  c->ttl_ns = (100 + variant) * WR_SECOND;
}

// Values tell their key and their space, so a mixed-up one is seen.
static inline void stress_cache_act(struct stress_worker *me, struct wr_entry *entry, uint64_t now)
{
  char text[512];
  unsigned number = (unsigned)wr_rng_below(&me->rng, 3000);
  int key_len = snprintf(text, sizeof(text), "key-%u", number);
  char fill = (char)('a' + (number + entry->index) % 26);
  size_t len = (size_t)key_len + wr_rng_below(&me->rng, sizeof(text) - (size_t)key_len);
  memset(text + key_len, fill, len - (size_t)key_len);
  struct wr_str key = {text, (size_t)key_len};
  if (wr_rng_below(&me->rng, 2)) {
    struct wr_cache_item item = {.key = key, .value = {text, len}, .stale_ns = UINT64_MAX};
    WR_CHECK(wr_cache_set(me->world->arena, entry, &item, now));
    return;
  }
  struct wr_buf value;
  wr_buf_init(&value, sizeof(text));
  struct wr_cache_found found = {.value = &value};
  if (wr_cache_get(me->world->arena, entry, key, now, &found) == WR_CACHE_FRESH) {
    struct wr_str got = wr_buf_str(&value);
    WR_CHECK(got.len >= key.len && memcmp(got.ptr, key.ptr, key.len) == 0);
    for (size_t i = key.len; i < got.len; i++) WR_CHECK(got.ptr[i] == fill);
  }
  wr_buf_fini(&value);
}

static const struct stress_kind stress_kinds[WR_KINDS] = {
    [WR_KIND_BREAKER] = {.configure = stress_breaker_config,
                         .vary = stress_breaker_vary,
                         .check = stress_breaker_check,
                         .check_empty = stress_breaker_empty},
    [WR_KIND_BULKHEAD] = {.configure = stress_bulkhead_config,
                          .vary = stress_bulkhead_vary,
                          .check = stress_bulkhead_check,
                          .check_empty = stress_bulkhead_empty},
    [WR_KIND_BUDGET] = {.configure = stress_budget_config,
                        .vary = stress_budget_vary,
                        .act = stress_budget_act,
                        .check = stress_budget_check},
    [WR_KIND_THROTTLE] = {.configure = stress_throttle_config,
                          .vary = stress_throttle_vary,
                          .check = stress_throttle_check},
    [WR_KIND_CACHE] = {.configure = stress_cache_config, .act = stress_cache_act},
};
