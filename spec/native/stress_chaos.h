#pragma once
/// What a stress run tries on experiments. Included by stress_kinds.h alone.

#include "resilience/chaos.h"
#include "stress.h"
#include "stress_rolling.h"

static inline void stress_chaos_config(void *config, uint32_t variant)
{
  struct wr_chaos_config *c = config;
  wr_chaos_config_init(c);
  c->probability = 0.25 * (double)(variant + 1);
  c->latency_ns = WR_MS;
  c->variance_ns = WR_MS / 2;
  c->expires_ns = 2 * WR_SECOND;
  c->guard_window_ns = WR_SECOND;
  c->is_permitted = true;
}

static inline void stress_chaos_vary(void *config, struct wr_rng *rng)
{
  struct wr_chaos_config *c = config;
  c->probability = 0.25 * (double)wr_rng_below(rng, 5);
}

static inline bool stress_chaos_act(struct stress_worker *me, struct wr_entry *entry, uint64_t now)
{
  struct wr_error error;
  uint64_t latency_ns = 0;
  uint64_t dice = wr_rng_below(&me->rng, 100);
  if (dice < 2) {
    WR_CHECK(wr_guard_chaos_apply(&me->registry, entry, 0, now, &error));
  } else if (dice < 3) {
    wr_guard_chaos_rollback(&me->registry, entry, now);
  } else if (dice < 50) {
    wr_guard_chaos_note(&me->guard, wr_registry_ref(entry), wr_rng_below(&me->rng, 3) == 0, now);
  } else if (wr_guard_chaos_draw(&me->guard, entry, wr_rng_next(&me->rng), now, &latency_ns)) {
    WR_CHECK(latency_ns >= WR_MS / 2 && latency_ns <= WR_MS + WR_MS / 2);
  }
  return true;
}

static inline void stress_chaos_check(struct wr_registry *r, struct wr_entry *entry,
                                      const struct stress_rows *rows, uint64_t now_ns)
{
  (void)r;
  const struct wr_chaos *c = entry->state;
  WR_CHECK(rows->live == 0 && rows->waiting == 0);
  WR_CHECK(c->injected <= c->seen);
  stress_rolling_check(&c->rolling);
  // Expiry is compulsory.
  WR_CHECK(!wr_chaos_is_armed(c, now_ns + c->config.expires_ns + WR_SECOND));
}

static const struct stress_kind stress_chaos = {
    .configure = stress_chaos_config,
    .vary = stress_chaos_vary,
    .act = stress_chaos_act,
    .check = stress_chaos_check,
};
