// Experiments behind the guard: nothing is held, so there is no row.

#include "arena/slot.h"
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
  wr_chaos_reconfigure(state, config, now_ns);
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

static void advance(struct wr_entry *entry, uint64_t now_ns)
{
  wr_chaos_advance(entry->state, now_ns);
}

static uint64_t next_ns(const struct wr_entry *entry)
{
  return wr_chaos_next_ns(entry->state);
}

static bool take_event(struct wr_entry *entry, union wr_guard_event *out)
{
  return wr_chaos_take_event(entry->state, &out->chaos);
}

const struct wr_guard_kind wr_guard_chaos = {
    .state = {.state_size = sizeof(struct wr_chaos),
              .config_size = sizeof(struct wr_chaos_config),
              .init = init,
              .reconfigure = reconfigure,
              .repair = repair,
              .can_drop = can_drop},
    .why = "",
    .advance = advance,
    .next_ns = next_ns,
    .take_event = take_event,
};

static bool lock(struct wr_registry *r, struct wr_entry *entry, uint64_t now_ns)
{
  WR_CHECK(entry->kind == WR_KIND_CHAOS);
  return wr_registry_lock(r, entry, wr_registry_ref(entry).generation, now_ns);
}

// Gives the lock; the master tells of a change.
static void unlock_changed(struct wr_registry *r, struct wr_entry *entry, uint64_t now_ns)
{
  bool is_planned = wr_registry_plan(r, entry, now_ns);
  wr_registry_unlock(r, entry);
  if (is_planned) wr_slot_ring(r->arena, wr_slot_master(r->arena));
}

bool wr_guard_chaos_draw(struct wr_guard *g, struct wr_entry *entry, uint64_t hash, uint64_t now_ns,
                         uint64_t *latency_ns)
{
  if (!lock(g->registry, entry, now_ns)) return false;
  bool is_hit = wr_chaos_draw(entry->state, hash, now_ns, latency_ns);
  wr_registry_unlock(g->registry, entry);
  return is_hit;
}

void wr_guard_chaos_note(struct wr_guard *g, struct wr_entry_ref ref, bool is_failure,
                         uint64_t now_ns)
{
  struct wr_entry *entry = wr_registry_get(g->registry, ref);
  if (entry == NULL || !lock(g->registry, entry, now_ns)) return;
  if (wr_chaos_note(entry->state, is_failure, now_ns)) {
    unlock_changed(g->registry, entry, now_ns);
  } else {
    wr_registry_unlock(g->registry, entry);
  }
}

bool wr_guard_chaos_apply(struct wr_registry *r, struct wr_entry *entry, uint64_t for_ns,
                          uint64_t now_ns, struct wr_error *error)
{
  if (!lock(r, entry, now_ns)) {
    wr_error_set(error, WR_ERROR_CLOSED, "chaos '%s' is gone", entry->name);
    return false;
  }
  bool ok = wr_chaos_apply(entry->state, for_ns, now_ns, error);
  unlock_changed(r, entry, now_ns);
  return ok;
}

bool wr_guard_chaos_rollback(struct wr_registry *r, struct wr_entry *entry, uint64_t now_ns)
{
  if (!lock(r, entry, now_ns)) return false;
  bool was_armed = wr_chaos_rollback(entry->state, now_ns);
  unlock_changed(r, entry, now_ns);
  return was_armed;
}
