#pragma once
/// What a stress run tries on throttles. Included by stress_kinds.h alone.

#include "resilience/throttle.h"
#include "stress.h"
#include "stress_rolling.h"

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
  c->shadow = wr_rng_below(rng, 8) == 0;
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

static const struct stress_kind stress_throttle = {
    .configure = stress_throttle_config,
    .vary = stress_throttle_vary,
    .check = stress_throttle_check,
};
