// The retry budget behind the guard: nothing is held, so there is no row.

#include "base/check.h"
#include "resilience/budget.h"
#include "script/guard_kind.h"

static void init(void *state, const void *config, uint64_t seed, uint64_t now_ns)
{
  (void)seed, (void)now_ns;
  wr_budget_init(state, config);
}

static void reconfigure(void *state, const void *config, uint64_t now_ns)
{
  wr_budget_reconfigure(state, config, now_ns);
}

static void repair(void *state, uint32_t live_normal, uint32_t live_probes, uint64_t now_ns)
{
  (void)live_normal, (void)live_probes;
  wr_budget_repair(state, now_ns);
}

static bool can_drop(void *state, uint64_t now_ns)
{
  (void)state, (void)now_ns;
  return true;
}

static void archive(void *state, struct wr_archive *a)
{
  wr_budget_archive(state, a);
}

const struct wr_kind_ops wr_guard_budget = {
    .state_size = sizeof(struct wr_budget),
    .config_size = sizeof(struct wr_budget_config),
    .init = init,
    .reconfigure = reconfigure,
    .repair = repair,
    .archive = archive,
    .can_drop = can_drop,
};

void wr_guard_budget_deposit(struct wr_guard *g, struct wr_entry *entry, uint64_t now_ns)
{
  WR_CHECK(entry->kind == WR_KIND_BUDGET);
  uint32_t generation = wr_registry_ref(entry).generation;
  if (!wr_registry_lock(g->registry, entry, generation, now_ns)) return;
  wr_budget_deposit(entry->state, now_ns);
  wr_registry_unlock(g->registry, entry);
}

bool wr_guard_budget_withdraw(struct wr_guard *g, struct wr_entry *entry, uint64_t now_ns)
{
  WR_CHECK(entry->kind == WR_KIND_BUDGET);
  uint32_t generation = wr_registry_ref(entry).generation;
  if (!wr_registry_lock(g->registry, entry, generation, now_ns)) return false;
  bool granted = wr_budget_withdraw(entry->state, now_ns);
  wr_registry_unlock(g->registry, entry);
  return granted;
}
