#pragma once
/// What a stress run tries on health checks. Included by stress_kinds.h alone.

#include "resilience/health.h"
#include "stress.h"

static inline void stress_health_config(void *config, uint32_t variant)
{
  struct wr_health_config *c = config;
  wr_health_config_init(c);
  c->interval_ns = 50 * (variant + 1) * WR_MS;
  c->timeout_ns = 20 * WR_MS;
}

static inline void stress_health_vary(void *config, struct wr_rng *rng)
{
  struct wr_health_config *c = config;
  c->rise = 1 + (uint32_t)wr_rng_below(rng, 4);
  c->fall = 1 + (uint32_t)wr_rng_below(rng, 4);
}

// Some report, some leave without, some keep the turn until it lapses.
static inline bool stress_health_act(struct stress_worker *me, struct wr_entry *entry, uint64_t now)
{
  struct wr_guard_ask ask = {0};
  struct wr_error refusal;
  uint64_t dice = wr_rng_below(&me->rng, 10);
  if (me->held_count > 0 && dice < 4) stress_leave(me, now);
  if (!stress_has_room(me)) return false;
  if (wr_guard_enter(&me->guard, entry, &ask, now, &refusal) != WR_GUARD_ADMITTED) return true;
  if (dice == 9) {
    me->held[me->held_count++] = ask.id;
    return true;
  }
  bool is_well = wr_rng_below(&me->rng, 3) > 0;
  struct wr_health_result result = {.at_ns = now,
                                    .error = is_well ? WR_ERROR_NONE : WR_ERROR_CONNECT};
  if (dice > 1) {
    wr_guard_health_report(&me->registry, entry, ask.why.numbers[0], &result,
                           is_well ? "" : "refused");
  }
  WR_CHECK(wr_guard_leave(&me->guard, ask.id, WR_OUTCOME_SUCCESS, now));
  return true;
}

static inline void stress_health_check(struct wr_registry *r, struct wr_entry *entry,
                                       const struct stress_rows *rows, uint64_t now_ns)
{
  const struct wr_health *h = entry->state;
  uint32_t checkers = 0;
  uint64_t at = 0;
  struct wr_row *row;
  WR_CHECK(rows->waiting == 0);
  while ((row = wr_ledger_each(r->arena, wr_registry_ref(entry), &at, NULL))) {
    checkers += h->claim != 0 && row->payload[0] == h->claim;
  }
  // One turn at a time, and it lapses: of one that was taken as its worker died there is no row.
  WR_CHECK(checkers <= 1);
  WR_CHECK(h->claim == 0 || h->claim_until_ns <= now_ns + h->config.timeout_ns + WR_SECOND);
  WR_CHECK(h->count <= WR_HEALTH_HISTORY && (h->good == 0 || h->bad == 0));
  WR_CHECK(wr_health_verdict(h) < WR_HEALTH_VERDICTS);
}

static const struct stress_kind stress_health = {
    .configure = stress_health_config,
    .vary = stress_health_vary,
    .act = stress_health_act,
    .check = stress_health_check,
};
