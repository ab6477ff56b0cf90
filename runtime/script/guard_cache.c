// The cache behind the guard: a row holds a member of a flight, a live one leads, a waiting one
// follows.

#include "script/guard_cache.h"

#include "script/guard_kind.h"
#include "script/guard_row.h"

#include <stdatomic.h>

_Static_assert(sizeof(struct wr_flight_member) <= WR_LEDGER_PAYLOAD, "a row holds a member");

static struct wr_flight_member *member_of(struct wr_row *row)
{
  return (struct wr_flight_member *)row->payload;
}

static struct wr_flight *flight_of(struct wr_entry *entry)
{
  return &((struct wr_cache_state *)entry->state)->flight;
}

static void reconfigure(void *state, const void *config, uint64_t now_ns)
{
  (void)now_ns;
  struct wr_cache_state *s = state;
  const struct wr_cache_options *o = config;
  wr_cache_space_apply(&s->space, &o->space);
  s->flight.max = (uint32_t)o->waiters;
}

static void init(void *state, const void *config, uint64_t seed, uint64_t now_ns)
{
  (void)seed;
  struct wr_cache_state *s = state;
  wr_flight_init(&s->flight, 0);
  reconfigure(state, config, now_ns);
}

// Counters and settings of a space are single words: none of them can be torn.
static void repair(void *state, uint32_t live_normal, uint32_t live_probes, uint64_t now_ns)
{
  (void)live_normal, (void)live_probes, (void)now_ns;
  wr_flight_repair(&((struct wr_cache_state *)state)->flight);
}

static bool can_drop(void *state, uint64_t now_ns)
{
  (void)now_ns;
  const struct wr_flight *f = &((struct wr_cache_state *)state)->flight;
  return f->leaders == 0 && f->followers == 0;
}

static enum wr_guard_admission enter(struct wr_entry *entry, struct wr_row *row,
                                     struct wr_guard_ask *ask, uint64_t now_ns)
{
  struct wr_flight *f = flight_of(entry);
  struct wr_flight_member *m = member_of(row);
  m->key = ask->key;
  m->until_ns = ask->until_ns;
  bool waits = ask->until_ns > now_ns;
  switch (wr_flight_join(f, m, waits)) {
  case WR_FLIGHT_LEADER: return WR_GUARD_ADMITTED;
  case WR_FLIGHT_FOLLOWER: return WR_GUARD_QUEUED;
  default: break;
  }
  ask->why = (struct wr_guard_why){.result = waits, .numbers = {f->followers, f->max}};
  return WR_GUARD_REFUSED;
}

static void explain(const struct wr_entry *entry, const struct wr_guard_ask *ask,
                    struct wr_error *refusal)
{
  if (ask->why.result) {
    wr_error_set(refusal, WR_ERROR_REFUSED, "cache '%s' refused: %u of %u calls wait for others",
                 entry->name, (unsigned)ask->why.numbers[0], (unsigned)ask->why.numbers[1]);
  } else {
    wr_error_set(refusal, WR_ERROR_REFUSED, "cache '%s': another call fetches it", entry->name);
  }
}

static void leave(struct wr_entry *entry, struct wr_row *row, enum wr_outcome outcome,
                  uint64_t now_ns)
{
  (void)now_ns;
  wr_flight_leave(flight_of(entry), member_of(row), outcome != WR_OUTCOME_CANCELLED);
}

static struct wr_row *grant(struct wr_entry *entry, uint64_t now_ns, bool *is_in)
{
  (void)now_ns;
  struct wr_flight_member *m = wr_flight_told(flight_of(entry));
  if (m == NULL) return NULL;
  *is_in = m->role == WR_FLIGHT_LEADER;
  return WR_CONTAINER(m, struct wr_row, payload);
}

static uint64_t wait_until(const struct wr_row *row)
{
  return ((const struct wr_flight_member *)row->payload)->until_ns;
}

static void recount(struct wr_registry *r, struct wr_entry *entry, uint64_t now_ns)
{
  (void)now_ns;
  struct wr_flight *f = flight_of(entry);
  uint64_t at = 0;
  struct wr_row *row;
  wr_flight_repair(f);
  while ((row = wr_ledger_each(r->arena, wr_registry_ref(entry), &at, NULL))) {
    uint32_t state = atomic_load_explicit(&row->state, memory_order_relaxed);
    if (state != WR_ROW_REFUSED) wr_flight_restore(f, member_of(row), state == WR_ROW_LIVE);
    if (state != WR_ROW_WAITING) wr_guard_row_announce(r->arena, row);
  }
}

const struct wr_guard_kind wr_guard_cache = {
    .state = {.state_size = sizeof(struct wr_cache_state),
              .config_size = sizeof(struct wr_cache_options),
              .init = init,
              .reconfigure = reconfigure,
              .repair = repair,
              .can_drop = can_drop},
    .why = "cache_waiters",
    .enter = enter,
    .explain = explain,
    .leave = leave,
    .grant = grant,
    .wait_until = wait_until,
    .recount = recount,
};
