// The health check behind the guard: an admission is the turn to check, so that the turn of a
// worker that dies is given back at once.

#include "arena/slot.h"
#include "base/check.h"
#include "script/guard_kind.h"

static void init(void *state, const void *config, uint64_t seed, uint64_t now_ns)
{
  wr_health_init(state, config, seed, now_ns);
}

static void reconfigure(void *state, const void *config, uint64_t now_ns)
{
  wr_health_reconfigure(state, config, now_ns);
}

static void repair(void *state, uint32_t live_normal, uint32_t live_probes, uint64_t now_ns)
{
  (void)live_normal, (void)live_probes;
  wr_health_repair(state, now_ns);
}

static bool can_drop(void *state, uint64_t now_ns)
{
  (void)state, (void)now_ns;
  return true;
}

static enum wr_guard_admission enter(struct wr_entry *entry, struct wr_row *row,
                                     struct wr_guard_ask *ask, uint64_t now_ns)
{
  row->payload[0] = wr_health_claim(entry->state, now_ns, &ask->why.after_ns);
  ask->why.numbers[0] = row->payload[0];
  return row->payload[0] ? WR_GUARD_ADMITTED : WR_GUARD_REFUSED;
}

static void explain(const struct wr_entry *entry, const struct wr_guard_ask *ask,
                    struct wr_error *refusal)
{
  wr_error_set(refusal, WR_ERROR_REFUSED, "health '%s' is not due", entry->name);
  wr_guard_refuse_after(refusal, ask->why.after_ns);
}

// Who has reported does not hold the claim any more; who leaves without gives it back.
static void leave(struct wr_entry *entry, struct wr_row *row, enum wr_outcome outcome,
                  uint64_t now_ns)
{
  (void)outcome;
  wr_health_release(entry->state, row->payload[0], now_ns);
}

static bool take_event(struct wr_entry *entry, union wr_guard_event *out)
{
  return wr_health_take_event(entry->state, &out->health);
}

// Never by itself; but a change asks for the master, who tells of it.
static uint64_t next_ns(const struct wr_entry *entry)
{
  (void)entry;
  return UINT64_MAX;
}

static void archive(void *state, struct wr_archive *a)
{
  wr_health_archive(state, a);
}

const struct wr_guard_kind wr_guard_health = {
    .state = {.state_size = sizeof(struct wr_health),
              .config_size = sizeof(struct wr_health_config),
              .init = init,
              .reconfigure = reconfigure,
              .repair = repair,
              .archive = archive,
              .can_drop = can_drop},
    .why = "",
    .enter = enter,
    .explain = explain,
    .leave = leave,
    .next_ns = next_ns,
    .take_event = take_event,
};

// Breakers that are tied to a check

uint64_t wr_guard_health_tie(const struct wr_entry *health)
{
  if (health == NULL) return 0;
  struct wr_entry_ref ref = wr_registry_ref(health);
  return (uint64_t)ref.generation << 32 | ref.index;
}

static bool is_down(const struct wr_registry *r, uint64_t tie)
{
  if (tie == 0) return false;
  struct wr_entry_ref ref = {.index = (uint32_t)tie, .generation = (uint32_t)(tie >> 32)};
  const struct wr_entry *health = wr_registry_get(r, ref);
  if (health == NULL || health->kind != WR_KIND_HEALTH) return false;
  // Without its lock: the sweep may take the state away meanwhile, but arena memory stays mapped.
  const struct wr_health *state = __atomic_load_n(&health->state, __ATOMIC_ACQUIRE);
  return state && wr_health_verdict(state) == WR_HEALTH_DOWN;
}

void wr_guard_health_spread(struct wr_registry *r, uint64_t now_ns)
{
  struct wr_entry *entry;
  uint32_t at = 0;
  bool is_planned = false;
  while ((entry = wr_registry_each(r, &at)) != NULL) {
    if (entry->kind != WR_KIND_BREAKER) continue;
    if (!wr_registry_lock(r, entry, wr_registry_ref(entry).generation, now_ns)) continue;
    struct wr_breaker *b = entry->state;
    bool is_held = is_down(r, b->config.health);
    bool changes = is_held != (b->is_held != 0);
    if (changes) {
      wr_breaker_hold(b, is_held, now_ns);
      is_planned |= wr_registry_plan(r, entry, now_ns);
    }
    wr_registry_unlock(r, entry);
  }
  if (is_planned) wr_slot_ring(r->arena, wr_slot_master(r->arena));
}

bool wr_guard_health_report(struct wr_registry *r, struct wr_entry *entry, uint64_t claim,
                            const struct wr_health_result *result, const char *output)
{
  WR_CHECK(entry->kind == WR_KIND_HEALTH);
  uint64_t now_ns = result->at_ns;
  if (!wr_registry_lock(r, entry, wr_registry_ref(entry).generation, now_ns)) return false;
  bool changed = wr_health_report(entry->state, claim, result, output);
  bool is_planned = changed && wr_registry_plan(r, entry, now_ns);
  wr_registry_unlock(r, entry);
  if (is_planned) wr_slot_ring(r->arena, wr_slot_master(r->arena));
  if (changed) wr_guard_health_spread(r, now_ns);
  return true;
}
