// Experiments behind the guard: nothing is held, so there is no row. The master tells what changed.

#include "script/guard_chaos.h"

#include "arena/slot.h"
#include "base/check.h"
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
  return wr_chaos_state(state, now_ns) == WR_CHAOS_DISARMED;
}

static void advance(struct wr_entry *entry, uint64_t now_ns)
{
  wr_chaos_advance(entry->state, now_ns);
}

// What was not told yet is due now.
static uint64_t next_ns(const struct wr_entry *entry)
{
  const struct wr_chaos *c = entry->state;
  return c->told_seq != c->event.seq ? 0 : wr_chaos_next_ns(c);
}

static bool take_event(struct wr_entry *entry, struct wr_breaker_event *out)
{
  struct wr_chaos_event event;
  if (!wr_chaos_take(entry->state, &event)) return false;
  *out = (struct wr_breaker_event){
      .seq = event.seq,
      .to = event.to,
      .cause = event.cause,
      .calls = event.requests,
      .failure_rate = event.requests > 0 ? (float)event.failed / (float)event.requests : 0,
  };
  return true;
}

const struct wr_guard_kind wr_guard_chaos = {
    .state = {.state_size = sizeof(struct wr_chaos),
              .config_size = sizeof(struct wr_chaos_config),
              .init = init,
              .reconfigure = reconfigure,
              .repair = repair,
              .can_drop = can_drop},
    .why = "chaos",
    .advance = advance,
    .next_ns = next_ns,
    .take_event = take_event,
};

static struct wr_chaos *lock(struct wr_registry *r, struct wr_entry *entry, uint64_t now_ns)
{
  WR_CHECK(entry->kind == WR_KIND_CHAOS);
  uint32_t generation = wr_registry_ref(entry).generation;
  return wr_registry_lock(r, entry, generation, now_ns) ? entry->state : NULL;
}

static void unlock(struct wr_registry *r, struct wr_entry *entry)
{
  bool is_planned = wr_registry_plan(r, entry, next_ns(entry));
  wr_registry_unlock(r, entry);
  if (is_planned) wr_slot_ring(r->arena, wr_slot_master(r->arena));
}

bool wr_guard_chaos_glance(const struct wr_entry *entry)
{
  const struct wr_chaos *c = entry->state;
  return __atomic_load_n(&c->until_ns, __ATOMIC_RELAXED) != 0;
}

struct wr_chaos_verdict wr_guard_chaos_decide(struct wr_guard *g, struct wr_entry *entry,
                                              uint64_t draw, uint64_t now_ns)
{
  struct wr_chaos *c = lock(g->registry, entry, now_ns);
  if (c == NULL) return (struct wr_chaos_verdict){0};
  struct wr_chaos_verdict verdict = wr_chaos_decide(c, draw, now_ns);
  unlock(g->registry, entry);
  return verdict;
}

void wr_guard_chaos_report(struct wr_guard *g, struct wr_entry_ref ref, bool has_failed,
                           uint64_t now_ns)
{
  struct wr_entry *entry = wr_registry_get(g->registry, ref);
  struct wr_chaos *c = entry ? lock(g->registry, entry, now_ns) : NULL;
  if (c == NULL) return;
  wr_chaos_report(c, has_failed, now_ns);
  unlock(g->registry, entry);
}

void wr_guard_chaos_start(struct wr_guard *g, struct wr_entry *entry, uint64_t now_ns)
{
  struct wr_chaos *c = lock(g->registry, entry, now_ns);
  if (c == NULL) return;
  wr_chaos_start(c, now_ns);
  unlock(g->registry, entry);
}

bool wr_guard_chaos_set(struct wr_registry *r, struct wr_entry *entry, bool is_on, uint64_t now_ns,
                        struct wr_error *error)
{
  struct wr_chaos *c = lock(r, entry, now_ns);
  if (c == NULL) {
    wr_error_set(error, WR_ERROR_CLOSED, "the experiment is gone");
    return false;
  }
  bool ok = true;
  if (!is_on) {
    wr_chaos_rollback(c, now_ns);
  } else {
    ok = wr_chaos_apply(c, now_ns);
  }
  unlock(r, entry);
  if (!ok) {
    wr_error_set(error, WR_ERROR_REFUSED,
                 "experiment '%s' may not be armed: start weir with --allow-chaos", entry->name);
  }
  return ok;
}
