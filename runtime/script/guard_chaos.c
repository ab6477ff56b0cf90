// Experiments behind the guard: nothing is held, so there is no row.

#include "base/check.h"
#include "resilience/chaos.h"
#include "script/guard_kind.h"

static void init(void *state, const void *config, uint64_t seed, uint64_t now_ns)
{
  (void)seed, (void)now_ns;
  wr_chaos_init(state, config);
}

static void reconfigure(void *state, const void *config, uint64_t now_ns)
{
  (void)now_ns;
  wr_chaos_reconfigure(state, config);
}

static void repair(void *state, uint32_t live_normal, uint32_t live_probes, uint64_t now_ns)
{
  (void)live_normal, (void)live_probes;
  wr_chaos_repair(state, now_ns);
}

static bool can_drop(void *state, uint64_t now_ns)
{
  return !wr_chaos_is_armed(state, now_ns);
}

const struct wr_kind_ops wr_guard_chaos = {
    .state_size = sizeof(struct wr_chaos),
    .config_size = sizeof(struct wr_chaos_config),
    .init = init,
    .reconfigure = reconfigure,
    .repair = repair,
    .can_drop = can_drop,
};

static bool lock(struct wr_registry *r, struct wr_entry *entry, uint64_t now_ns)
{
  WR_CHECK(entry->kind == WR_KIND_CHAOS);
  return wr_registry_lock(r, entry, wr_registry_ref(entry).generation, now_ns);
}

bool wr_guard_chaos_draw(struct wr_guard *g, struct wr_entry *entry, uint64_t hash, uint64_t now_ns,
                         uint64_t *latency_ns)
{
  if (!lock(g->registry, entry, now_ns)) return false;
  bool is_hit = wr_chaos_draw(entry->state, hash, now_ns, latency_ns);
  wr_registry_unlock(g->registry, entry);
  return is_hit;
}

bool wr_guard_chaos_note(struct wr_guard *g, struct wr_entry_ref ref, bool is_failure,
                         uint64_t now_ns)
{
  struct wr_entry *entry = wr_registry_get(g->registry, ref);
  if (entry == NULL || !lock(g->registry, entry, now_ns)) return false;
  bool has_ended = wr_chaos_note(entry->state, is_failure, now_ns);
  wr_registry_unlock(g->registry, entry);
  return has_ended;
}

bool wr_guard_chaos_apply(struct wr_registry *r, struct wr_entry *entry, uint64_t for_ns,
                          uint64_t now_ns, struct wr_error *error)
{
  if (!lock(r, entry, now_ns)) {
    wr_error_set(error, WR_ERROR_CLOSED, "chaos '%s' is gone", entry->name);
    return false;
  }
  bool ok = wr_chaos_apply(entry->state, for_ns, now_ns, error);
  wr_registry_unlock(r, entry);
  return ok;
}

bool wr_guard_chaos_rollback(struct wr_registry *r, struct wr_entry *entry, uint64_t now_ns)
{
  if (!lock(r, entry, now_ns)) return false;
  bool was_armed = wr_chaos_rollback(entry->state, now_ns);
  wr_registry_unlock(r, entry);
  return was_armed;
}
