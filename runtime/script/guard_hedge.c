// The hedge behind the guard: nothing is held, so there is no row.

#include "script/guard_hedge.h"
#include "base/check.h"
#include "resilience/hedge.h"
#include "script/guard_kind.h"

static void init(void *state, const void *config, uint64_t seed, uint64_t now_ns)
{
  (void)seed, (void)now_ns;
  wr_hedge_init(state, config);
}

static void reconfigure(void *state, const void *config, uint64_t now_ns)
{
  wr_hedge_reconfigure(state, config, now_ns);
}

static void repair(void *state, uint32_t live_normal, uint32_t live_probes, uint64_t now_ns)
{
  (void)live_normal, (void)live_probes;
  wr_hedge_repair(state, now_ns);
}

static bool can_drop(void *state, uint64_t now_ns)
{
  (void)state, (void)now_ns;
  return true;
}

const struct wr_kind_ops wr_guard_hedge = {
    .state_size = sizeof(struct wr_hedge),
    .config_size = sizeof(struct wr_hedge_config),
    .init = init,
    .reconfigure = reconfigure,
    .repair = repair,
    .can_drop = can_drop,
};

static struct wr_hedge *lock(struct wr_guard *g, struct wr_entry *entry, uint64_t now_ns)
{
  WR_CHECK(entry->kind == WR_KIND_HEDGE);
  uint32_t generation = wr_registry_ref(entry).generation;
  return wr_registry_lock(g->registry, entry, generation, now_ns) ? entry->state : NULL;
}

uint64_t wr_guard_hedge_begin(struct wr_guard *g, struct wr_entry *entry, uint64_t now_ns)
{
  struct wr_hedge *h = lock(g, entry, now_ns);
  if (h == NULL) return WR_HEDGE_NEVER;
  uint64_t delay_ns = wr_hedge_begin(h, now_ns);
  wr_registry_unlock(g->registry, entry);
  return delay_ns;
}

static void count(struct wr_guard *g, struct wr_entry *entry, uint64_t now_ns, bool is_unsafe)
{
  struct wr_hedge *h = lock(g, entry, now_ns);
  if (h == NULL) return;
  h->counters.unsafe += is_unsafe;
  h->counters.denied_budget += !is_unsafe;
  wr_registry_unlock(g->registry, entry);
}

void wr_guard_hedge_unsafe(struct wr_guard *g, struct wr_entry *entry, uint64_t now_ns)
{
  count(g, entry, now_ns, true);
}

// The shared budget first: what it grants and the own bound denies is lost to the retries, which
// errs on the side of less load.
bool wr_guard_hedge_pay(struct wr_guard *g, struct wr_entry *entry, struct wr_entry *budget,
                        bool is_slow, uint64_t now_ns)
{
  if (budget && !wr_guard_budget_withdraw(g, budget, now_ns)) {
    count(g, entry, now_ns, false);
    return false;
  }
  struct wr_hedge *h = lock(g, entry, now_ns);
  if (h == NULL) return false;
  bool granted = wr_hedge_pay(h, is_slow, now_ns);
  wr_registry_unlock(g->registry, entry);
  return granted;
}

void wr_guard_hedge_end(struct wr_guard *g, struct wr_entry *entry, enum wr_hedge_end end,
                        uint64_t took_ns, uint64_t now_ns)
{
  struct wr_hedge *h = lock(g, entry, now_ns);
  if (h == NULL) return;
  wr_hedge_end(h, end, took_ns, now_ns);
  wr_registry_unlock(g->registry, entry);
}
