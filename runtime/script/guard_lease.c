// The lease behind the guard: a waiting row waits for its turn, a live one has it, so that the turn
// of a worker that dies is given on as soon as its rows are settled.

#include "base/check.h"
#include "resilience/lease.h"
#include "script/guard_kind.h"
#include "script/guard_row.h"

#include <stdatomic.h>

_Static_assert(sizeof(struct wr_lease_waiter) <= WR_LEDGER_PAYLOAD, "a row holds a waiter");

static struct wr_lease_waiter *waiter_of(struct wr_row *row)
{
  return (struct wr_lease_waiter *)row->payload;
}

static uint32_t state_of(const struct wr_row *row)
{
  return atomic_load_explicit(&row->state, memory_order_relaxed);
}

static void init(void *state, const void *config, uint64_t seed, uint64_t now_ns)
{
  (void)seed;
  wr_lease_init(state, config, now_ns);
}

static void reconfigure(void *state, const void *config, uint64_t now_ns)
{
  wr_lease_reconfigure(state, config, now_ns);
}

static void repair(void *state, uint32_t live_normal, uint32_t live_probes, uint64_t now_ns)
{
  (void)live_normal, (void)live_probes;
  wr_lease_repair(state, NULL, now_ns);
}

static bool can_drop(void *state, uint64_t now_ns)
{
  (void)now_ns;
  return wr_lease_is_idle(state);
}

static void archive(void *state, struct wr_archive *a)
{
  wr_lease_archive(state, a);
}

// Nobody is refused: whoever is let in at once hears of it like the others.
static enum wr_guard_admission enter(struct wr_entry *entry, struct wr_row *row,
                                     struct wr_guard_ask *ask, uint64_t now_ns)
{
  (void)now_ns;
  waiter_of(row)->owner = (uint32_t)ask->key;
  wr_lease_wait(entry->state, waiter_of(row));
  return WR_GUARD_QUEUED;
}

static void leave(struct wr_entry *entry, struct wr_row *row, enum wr_outcome outcome,
                  uint64_t now_ns)
{
  uint32_t state = state_of(row);
  bool is_done = outcome != WR_OUTCOME_CANCELLED;
  if (state == WR_ROW_LIVE) wr_lease_release(entry->state, waiter_of(row), is_done, now_ns);
  if (state == WR_ROW_WAITING) wr_lease_leave(entry->state, waiter_of(row));
}

static struct wr_row *grant(struct wr_entry *entry, uint64_t now_ns, bool *is_in)
{
  struct wr_lease_waiter *waiter = wr_lease_grant(entry->state, now_ns);
  *is_in = true;
  return waiter ? WR_CONTAINER(waiter, struct wr_row, payload) : NULL;
}

static uint64_t wait_until(const struct wr_row *row)
{
  (void)row;
  return UINT64_MAX;
}

static uint64_t next_ns(const struct wr_entry *entry)
{
  return wr_lease_next_ns(entry->state);
}

static void recount(struct wr_registry *r, struct wr_entry *entry, uint64_t now_ns)
{
  struct wr_lease *l = entry->state;
  const struct wr_lease_waiter *holder = NULL;
  struct wr_row *row;
  uint64_t at = 0;
  while ((row = wr_ledger_each(r->arena, wr_registry_ref(entry), &at, NULL))) {
    bool holds = state_of(row) == WR_ROW_LIVE && waiter_of(row)->token == l->token;
    if (holds && l->token != 0) holder = waiter_of(row);
  }
  memcpy(&l->config, entry->config, sizeof(l->config)); // never torn
  wr_lease_repair(l, holder, now_ns);
  at = 0;
  while ((row = wr_ledger_each(r->arena, wr_registry_ref(entry), &at, NULL))) {
    if (state_of(row) == WR_ROW_WAITING) {
      wr_lease_wait(l, waiter_of(row));
    } else {
      wr_guard_row_announce(r->arena, row);
    }
  }
}

const struct wr_guard_kind wr_guard_lease = {
    .state = {.state_size = sizeof(struct wr_lease),
              .config_size = sizeof(struct wr_lease_config),
              .init = init,
              .reconfigure = reconfigure,
              .repair = repair,
              .archive = archive,
              .can_drop = can_drop},
    .why = "",
    .in_vain = WR_ERROR_REFUSED,
    .enter = enter,
    .leave = leave,
    .grant = grant,
    .wait_until = wait_until,
    .recount = recount,
    .next_ns = next_ns,
};

// The row of an admission, and its entry's lock; NULL when either is over.
static struct wr_row *lock(struct wr_guard *g, uint64_t id, uint64_t now_ns,
                           struct wr_entry **entry)
{
  struct wr_row *row = wr_guard_row_of(g, id);
  if (row == NULL || state_of(row) != WR_ROW_LIVE) return NULL;
  struct wr_entry_ref ref = wr_ledger_entry(row);
  *entry = wr_registry_get(g->registry, ref);
  if (*entry == NULL || !wr_registry_lock(g->registry, *entry, ref.generation, now_ns)) return NULL;
  WR_CHECK((*entry)->kind == WR_KIND_LEASE);
  return row;
}

uint64_t wr_guard_lease_begin(struct wr_guard *g, uint64_t id, uint64_t now_ns)
{
  struct wr_entry *entry;
  struct wr_row *row = lock(g, id, now_ns, &entry);
  if (row == NULL) return 0;
  bool begins = wr_lease_begin(entry->state, waiter_of(row), now_ns);
  uint64_t token = begins ? waiter_of(row)->token : 0;
  wr_registry_unlock(g->registry, entry);
  return token;
}

bool wr_guard_lease_renew(struct wr_guard *g, uint64_t id, uint64_t now_ns)
{
  struct wr_entry *entry;
  struct wr_row *row = lock(g, id, now_ns, &entry);
  if (row == NULL) return false;
  bool goes_on = wr_lease_renew(entry->state, waiter_of(row), now_ns);
  wr_registry_unlock(g->registry, entry);
  return goes_on;
}
