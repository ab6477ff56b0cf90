#pragma once
/// What a stress run tries on leases. Included by stress_kinds.h alone.

#include "resilience/lease.h"
#include "stress.h"
#include "stress_list.h"

static inline void stress_lease_config(void *config, uint32_t variant)
{
  struct wr_lease_config *c = config;
  c->interval_ns = (1 + 20 * (uint64_t)variant) * WR_MS;
  c->ttl_ns = variant == 0 ? 10 * WR_MS : WR_SECOND;
}

static inline void stress_lease_vary(void *config, struct wr_rng *rng)
{
  struct wr_lease_config *c = config;
  c->interval_ns = (1 + wr_rng_below(rng, 40)) * WR_MS;
}

// Some begin and renew, some release at once, some hold it until it lapses.
static inline bool stress_lease_act(struct stress_worker *me, struct wr_entry *entry, uint64_t now)
{
  uint64_t dice = wr_rng_below(&me->rng, 100);
  if (dice >= 30 || me->held_count == 0) return stress_admission(me, entry, now);
  uint64_t id = me->held[wr_rng_below(&me->rng, me->held_count)];
  struct wr_row *row = wr_guard_row_of(&me->guard, id);
  struct wr_entry *its = row ? wr_registry_get(&me->registry, wr_ledger_entry(row)) : NULL;
  if (its == NULL || its->kind != WR_KIND_LEASE) return false;
  if (dice < 15) {
    wr_guard_lease_begin(&me->guard, id, now);
  } else {
    wr_guard_lease_renew(&me->guard, id, now);
  }
  return true;
}

// One holder at a time, and none that is dead: a lease without a row would have to lapse first.
static inline void stress_lease_check(struct wr_registry *r, struct wr_entry *entry,
                                      const struct stress_rows *rows, uint64_t now_ns)
{
  const struct wr_lease *l = entry->state;
  uint32_t holders = 0;
  uint64_t at = 0;
  struct wr_row *row;
  while ((row = wr_ledger_each(r->arena, wr_registry_ref(entry), &at, NULL))) {
    const struct wr_lease_waiter *w = (const struct wr_lease_waiter *)row->payload;
    bool is_in = atomic_load(&row->state) == WR_ROW_LIVE;
    WR_CHECK(!is_in || (w->token != 0 && w->token <= l->last_token));
    holders += is_in && w->token == l->token;
  }
  WR_CHECK(holders == (l->token != 0));
  WR_CHECK(l->waiting == rows->waiting);
  stress_list_check(&l->waiters, l->waiting);
  WR_CHECK(l->due_ns <= now_ns + l->config.interval_ns + WR_SECOND);
  WR_CHECK(l->counters.done + l->counters.lost <= l->counters.begun);
}

static inline void stress_lease_empty(struct wr_entry *entry, uint64_t now_ns)
{
  (void)now_ns;
  WR_CHECK(wr_lease_is_idle(entry->state));
}

static const struct stress_kind stress_lease = {
    .configure = stress_lease_config,
    .vary = stress_lease_vary,
    .act = stress_lease_act,
    .check = stress_lease_check,
    .check_empty = stress_lease_empty,
};
