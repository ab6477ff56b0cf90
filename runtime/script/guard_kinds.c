// What breaker, bulkhead and budget are to the registry, and how a torn one is recounted.

#include "arena/cache.h"
#include "arena/slot.h"
#include "base/check.h"
#include "base/rng.h"
#include "script/guard.h"
#include "script/guard_row.h"

#include <stdatomic.h>

// Breaker

static void breaker_init(void *state, const void *config, uint64_t seed, uint64_t now_ns)
{
  struct wr_rng rng;
  wr_rng_init(&rng, seed);
  wr_breaker_init(state, config, &rng, now_ns);
}

static void breaker_reconfigure(void *state, const void *config, uint64_t now_ns)
{
  wr_breaker_reconfigure(state, config, now_ns);
}

static void breaker_repair(void *state, uint32_t live_normal, uint32_t live_probes, uint64_t now_ns)
{
  wr_breaker_repair(state, live_normal, live_probes, now_ns);
}

// An open breaker, or one that an operator forced, remembers what nobody else knows.
static bool breaker_can_drop(void *state, uint64_t now_ns)
{
  struct wr_breaker_stats stats;
  wr_breaker_stats(state, now_ns, &stats);
  return stats.state == WR_BREAKER_CLOSED &&
         ((struct wr_breaker *)state)->forced == WR_BREAKER_MODE_NORMAL && stats.inflight == 0 &&
         stats.probes == 0;
}

static const struct wr_kind_ops BREAKER = {
    .state_size = sizeof(struct wr_breaker),
    .config_size = sizeof(struct wr_breaker_config),
    .init = breaker_init,
    .reconfigure = breaker_reconfigure,
    .repair = breaker_repair,
    .can_drop = breaker_can_drop,
};

// Bulkhead

static void bulkhead_init(void *state, const void *config, uint64_t seed, uint64_t now_ns)
{
  (void)seed;
  wr_bulkhead_init(state, config, now_ns);
}

static void bulkhead_reconfigure(void *state, const void *config, uint64_t now_ns)
{
  (void)now_ns;
  wr_bulkhead_reconfigure(state, config);
}

static void bulkhead_repair(void *state, uint32_t live_normal, uint32_t live_probes,
                            uint64_t now_ns)
{
  (void)live_probes;
  wr_bulkhead_repair(state, live_normal, now_ns);
}

static bool bulkhead_can_drop(void *state, uint64_t now_ns)
{
  (void)now_ns;
  const struct wr_bulkhead *b = state;
  return b->in_use == 0 && b->queued == 0;
}

static const struct wr_kind_ops BULKHEAD = {
    .state_size = sizeof(struct wr_bulkhead),
    .config_size = sizeof(struct wr_bulkhead_config),
    .init = bulkhead_init,
    .reconfigure = bulkhead_reconfigure,
    .repair = bulkhead_repair,
    .can_drop = bulkhead_can_drop,
};

// Budget

static void budget_init(void *state, const void *config, uint64_t seed, uint64_t now_ns)
{
  (void)seed, (void)now_ns;
  wr_budget_init(state, config);
}

static void budget_reconfigure(void *state, const void *config, uint64_t now_ns)
{
  wr_budget_reconfigure(state, config, now_ns);
}

static void budget_repair(void *state, uint32_t live_normal, uint32_t live_probes, uint64_t now_ns)
{
  (void)live_normal, (void)live_probes;
  wr_budget_repair(state, now_ns);
}

static bool budget_can_drop(void *state, uint64_t now_ns)
{
  (void)state, (void)now_ns;
  return true;
}

static const struct wr_kind_ops BUDGET = {
    .state_size = sizeof(struct wr_budget),
    .config_size = sizeof(struct wr_budget_config),
    .init = budget_init,
    .reconfigure = budget_reconfigure,
    .repair = budget_repair,
    .can_drop = budget_can_drop,
};

const struct wr_kind_ops *const wr_guard_kinds[WR_KINDS] = {
    [WR_KIND_BREAKER] = &BREAKER,
    [WR_KIND_BULKHEAD] = &BULKHEAD,
    [WR_KIND_BUDGET] = &BUDGET,
    [WR_KIND_CACHE] = &wr_cache_kind,
};

// Repair: the ledger's rows are the truth, and whoever holds the entry's lock can count them.

static void repair_breaker(struct wr_registry *r, struct wr_entry *entry, uint64_t now_ns)
{
  const struct wr_breaker *b = entry->state;
  uint32_t live[2] = {0, 0};
  uint64_t at = 0;
  struct wr_row *row;
  while ((row = wr_ledger_each(r->arena, wr_registry_ref(entry), &at, NULL))) {
    const struct wr_ticket *ticket = wr_guard_row_ticket(row);
    bool counts = !ticket->done && ticket->generation == b->generation;
    if (counts) live[ticket->kind == WR_TICKET_PROBE]++;
  }
  BREAKER.repair(entry->state, live[0], live[1], now_ns);
}

// Also tells again whoever was granted or refused: the dead process may not have.
static void repair_bulkhead(struct wr_registry *r, struct wr_entry *entry, uint64_t now_ns)
{
  uint32_t live = 0;
  uint64_t at = 0;
  struct wr_row *row;
  while ((row = wr_ledger_each(r->arena, wr_registry_ref(entry), &at, NULL))) {
    live += atomic_load_explicit(&row->state, memory_order_relaxed) == WR_ROW_LIVE;
  }
  BULKHEAD.repair(entry->state, live, 0, now_ns);
  at = 0;
  while ((row = wr_ledger_each(r->arena, wr_registry_ref(entry), &at, NULL))) {
    if (atomic_load_explicit(&row->state, memory_order_relaxed) == WR_ROW_WAITING) {
      wr_guard_row_waiter(row)->result = WR_BULKHEAD_QUEUED;
      wr_bulkhead_requeue(entry->state, wr_guard_row_waiter(row));
    } else if (atomic_load_explicit(&row->is_pending, memory_order_relaxed)) {
      wr_ledger_announce(r->arena, row);
      wr_slot_ring(r->arena, wr_ledger_slot(r->arena, row));
    }
  }
}

static void repair_entry(struct wr_registry *r, struct wr_entry *entry, uint64_t now_ns)
{
  if (entry->kind == WR_KIND_BREAKER) {
    repair_breaker(r, entry, now_ns);
  } else if (entry->kind == WR_KIND_BULKHEAD) {
    repair_bulkhead(r, entry, now_ns);
  } else {
    WR_CHECK(entry->kind < WR_KINDS && wr_guard_kinds[entry->kind]);
    wr_guard_kinds[entry->kind]->repair(entry->state, 0, 0, now_ns);
  }
}

// A larger bulkhead has room for waiters; what a breaker has to tell, the master will.
static void entry_changed(struct wr_registry *r, struct wr_entry *entry, uint64_t now_ns)
{
  if (entry->kind == WR_KIND_BULKHEAD) {
    struct wr_guard_bells bells = {0};
    wr_guard_row_grant(r->arena, entry, now_ns, &bells);
    wr_guard_row_ring(r->arena, &bells);
  } else if (entry->kind == WR_KIND_BREAKER && wr_registry_plan(r, entry, now_ns)) {
    wr_slot_ring(r->arena, wr_slot_master(r->arena));
  }
}

void wr_guard_registry(struct wr_registry *r, struct wr_arena *a)
{
  *r = (struct wr_registry){
      .arena = a,
      .kinds = wr_guard_kinds,
      .repair = repair_entry,
      .changed = entry_changed,
  };
}
