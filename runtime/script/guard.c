#include "script/guard.h"

#include "arena/slot.h"
#include "base/check.h"
#include "script/guard_kind.h"
#include "script/guard_row.h"
#include "script/guard_shadow.h"

#include <stdatomic.h>

// Ids: slot 8 bits, row 24 bits, generation of the row 32 bits.

_Static_assert(2 * WR_ARENA_WORKERS_MAX <= 256, "a slot of two fleets fits an id");
_Static_assert(WR_LEDGER_ROWS_MAX <= 1 << 24, "a row fits an id");

static uint64_t id_of(const struct wr_guard *g, const struct wr_row *row)
{
  uint64_t generation = atomic_load_explicit(&row->generation, memory_order_relaxed);
  return generation << 32 | g->ledger.slot << 24 | row->number;
}

struct wr_row *wr_guard_row_of(const struct wr_guard *g, uint64_t id)
{
  if ((id >> 24 & 0xff) != g->ledger.slot) return NULL;
  return wr_ledger_find(&g->ledger, id & 0xffffff, (uint32_t)(id >> 32));
}

static uint32_t state_of(const struct wr_row *row)
{
  return atomic_load_explicit(&row->state, memory_order_acquire);
}

static void commit(struct wr_row *row, enum wr_row_state state)
{
  atomic_store_explicit(&row->state, state, memory_order_release);
}

// What came up under an entry's lock, to be told once it is given.

struct news {
  bool is_planned; // the master must look sooner than it meant to
  uint32_t event_count;
  struct wr_guard_bells bells;
  union wr_guard_event events[WR_BREAKER_EVENTS];
};

static void no_news(struct news *n)
{
  n->is_planned = false;
  n->event_count = 0;
  n->bells = (struct wr_guard_bells){0};
}

static void gather(struct wr_registry *r, struct wr_entry *entry, struct news *n, uint64_t now_ns)
{
  const struct wr_guard_kind *kind = wr_guard_kind_of(entry);
  if (kind->take_event) {
    while (n->event_count < WR_BREAKER_EVENTS &&
           kind->take_event(entry, &n->events[n->event_count])) {
      n->event_count++;
    }
  }
  if (kind->grant) wr_guard_row_grant(r->arena, entry, now_ns, &n->bells);
  if (kind->next_ns) n->is_planned = wr_registry_plan(r, entry, kind->next_ns(entry));
}

static void tell(struct wr_registry *r, struct wr_entry *entry, struct news *n,
                 const struct wr_guard_callbacks *callbacks)
{
  if (n->is_planned) wr_slot_ring(r->arena, wr_slot_master(r->arena));
  wr_guard_row_ring(r->arena, &n->bells);
  for (uint32_t i = 0; i < n->event_count && callbacks && callbacks->on_event; i++) {
    callbacks->on_event(callbacks->ctx, entry, &n->events[i]);
  }
}

// Life

void wr_guard_init(struct wr_guard *g, struct wr_registry *r, uint32_t slot,
                   struct wr_guard_callbacks callbacks)
{
  *g = (struct wr_guard){.registry = r, .callbacks = callbacks};
  wr_ledger_init(&g->ledger, r->arena, slot);
}

// Ends a row in whatever state it is. False when it had ended before.
static bool finish(struct wr_guard *g, struct wr_row *row, enum wr_outcome outcome, uint64_t now_ns)
{
  struct wr_registry *r = g->registry;
  struct wr_entry_ref ref = wr_ledger_entry(row);
  struct wr_entry *entry = wr_registry_get(r, ref);
  if (entry == NULL || !wr_registry_lock(r, entry, ref.generation, now_ns)) {
    wr_ledger_give(&g->ledger, row);
    return true;
  }
  struct news news;
  no_news(&news);
  wr_guard_kind_of(entry)->leave(entry, row, outcome, now_ns);
  wr_ledger_give(&g->ledger, row);
  gather(r, entry, &news, now_ns);
  wr_registry_unlock(r, entry);
  tell(r, entry, &news, &g->callbacks);
  return true;
}

void wr_guard_fini(struct wr_guard *g, uint64_t now_ns)
{
  uint32_t at = 0;
  struct wr_row *row;
  while ((row = wr_ledger_next(g->registry->arena, g->ledger.slot, &at))) {
    finish(g, row, WR_OUTCOME_CANCELLED, now_ns);
  }
  wr_ledger_fini(&g->ledger);
}

// Entering

static bool refuse_gone(const struct wr_entry *entry, struct wr_error *refusal)
{
  wr_error_set(refusal, WR_ERROR_CLOSED, "%s '%s' is gone", wr_registry_kind_name(entry->kind),
               entry->name);
  return false;
}

// A row for an admission, and the entry's lock; NULL with a refusal.
static struct wr_row *begin(struct wr_guard *g, struct wr_entry *entry, uint64_t now_ns,
                            struct wr_error *refusal)
{
  struct wr_entry_ref ref = wr_registry_ref(entry);
  struct wr_row *row = wr_ledger_take(&g->ledger, ref);
  if (row == NULL) {
    g->refused_full++;
    wr_error_set(
        refusal, WR_ERROR_REFUSED, "%s '%s': the worker has %u admissions, all it may have",
        wr_registry_kind_name(entry->kind), entry->name, g->registry->arena->header->ledger_rows);
    return NULL;
  }
  if (wr_registry_lock(g->registry, entry, ref.generation, now_ns)) return row;
  wr_ledger_give(&g->ledger, row);
  refuse_gone(entry, refusal);
  return NULL;
}

enum wr_guard_admission wr_guard_enter(struct wr_guard *g, struct wr_entry *entry,
                                       struct wr_guard_ask *ask, uint64_t now_ns,
                                       struct wr_error *refusal)
{
  const struct wr_guard_kind *kind = wr_guard_kind_of(entry);
  WR_CHECK(kind && kind->enter);
  struct wr_row *row = begin(g, entry, now_ns, refusal);
  if (row == NULL) return WR_GUARD_REFUSED;
  struct news news;
  no_news(&news);
  enum wr_guard_admission result = kind->enter(entry, row, ask, now_ns);
  if (result != WR_GUARD_REFUSED) {
    bool is_queued = result == WR_GUARD_QUEUED;
    ask->id = id_of(g, row);
    if (is_queued) ask->until_ns = kind->wait_until(row); // once it is granted the row says more
    atomic_store_explicit(&row->is_pending, is_queued, memory_order_relaxed);
    commit(row, is_queued ? WR_ROW_WAITING : WR_ROW_LIVE);
  }
  gather(g->registry, entry, &news, now_ns);
  wr_registry_unlock(g->registry, entry);
  if (result == WR_GUARD_REFUSED) {
    wr_ledger_give(&g->ledger, row);
    kind->explain(entry, ask, refusal);
  }
  tell(g->registry, entry, &news, &g->callbacks);
  if (g->shadow) wr_guard_shadow_entered(g->shadow, entry, ask, result, now_ns);
  return result;
}

bool wr_guard_is_waiting(const struct wr_guard *g, uint64_t id)
{
  const struct wr_row *row = wr_guard_row_of(g, id);
  return row != NULL && state_of(row) == WR_ROW_WAITING;
}

void wr_guard_explain_after(struct wr_guard *g, struct wr_entry *entry,
                            const struct wr_guard_ask *ask, uint64_t now_ns,
                            struct wr_error *refusal)
{
  const struct wr_guard_kind *kind = wr_guard_kind_of(entry);
  if (kind->after == NULL) return;
  if (!wr_registry_lock(g->registry, entry, wr_registry_ref(entry).generation, now_ns)) return;
  uint64_t after_ns = kind->after(entry, ask, now_ns);
  wr_registry_unlock(g->registry, entry);
  wr_guard_refuse_after(refusal, after_ns);
}

void wr_guard_answered(struct wr_guard *g, uint64_t id, uint64_t now_ns)
{
  struct wr_row *row = wr_guard_row_of(g, id);
  if (row == NULL || state_of(row) != WR_ROW_LIVE) return;
  struct wr_entry *entry = wr_registry_get(g->registry, wr_ledger_entry(row));
  const struct wr_guard_kind *kind = entry ? wr_guard_kind_of(entry) : NULL;
  if (kind && kind->answered) kind->answered(row, now_ns);
}

// Leaving

bool wr_guard_leave(struct wr_guard *g, uint64_t id, enum wr_outcome outcome, uint64_t now_ns)
{
  struct wr_row *row = wr_guard_row_of(g, id);
  if (row && g->shadow) wr_guard_shadow_left(g->shadow, id, outcome, now_ns);
  return row && finish(g, row, outcome, now_ns);
}

bool wr_guard_cancel_wait(struct wr_guard *g, uint64_t id, uint64_t now_ns)
{
  return wr_guard_leave(g, id, WR_OUTCOME_CANCELLED, now_ns);
}

// A refusal has arrived. Under the lock, as every change of a row's state: who counts the rows of
// an entry must not come upon one that serves another by now.
static void give_refused(struct wr_guard *g, struct wr_row *row, uint64_t now_ns)
{
  struct wr_registry *r = g->registry;
  struct wr_entry_ref ref = wr_ledger_entry(row);
  struct wr_entry *entry = wr_registry_get(r, ref);
  bool is_locked = entry != NULL && wr_registry_lock(r, entry, ref.generation, now_ns);
  wr_ledger_give(&g->ledger, row);
  if (is_locked) wr_registry_unlock(r, entry);
}

// A row that is announced may have ended and begun anew since: only a queued one is pending.
void wr_guard_collect(struct wr_guard *g, uint64_t now_ns)
{
  uint32_t number;
  wr_slot_hush(g->registry->arena, g->ledger.slot);
  while (wr_ledger_announced(&g->ledger, &number)) {
    struct wr_row *row = wr_ledger_row(&g->ledger, number);
    uint32_t state = state_of(row);
    if (state != WR_ROW_LIVE && state != WR_ROW_REFUSED) continue;
    if (!atomic_exchange_explicit(&row->is_pending, 0, memory_order_relaxed)) continue;
    uint64_t id = id_of(g, row);
    bool is_over = state == WR_ROW_REFUSED;
    if (is_over && g->shadow) wr_guard_shadow_left(g->shadow, id, WR_OUTCOME_CANCELLED, now_ns);
    if (is_over) give_refused(g, row, now_ns);
    if (g->callbacks.on_grant) g->callbacks.on_grant(g->callbacks.ctx, id, state == WR_ROW_LIVE);
  }
}

// Operators and readers

bool wr_guard_breaker_force(struct wr_registry *r, struct wr_entry *entry,
                            enum wr_breaker_mode mode, uint64_t now_ns)
{
  WR_CHECK(entry->kind == WR_KIND_BREAKER);
  if (!wr_registry_lock(r, entry, wr_registry_ref(entry).generation, now_ns)) return false;
  wr_breaker_force(entry->state, mode, now_ns);
  bool is_planned = wr_registry_plan(r, entry, now_ns);
  wr_registry_unlock(r, entry);
  if (is_planned) wr_slot_ring(r->arena, wr_slot_master(r->arena));
  return true;
}

bool wr_guard_breaker_reset(struct wr_registry *r, struct wr_entry *entry, uint64_t now_ns,
                            struct wr_error *error)
{
  WR_CHECK(entry->kind == WR_KIND_BREAKER);
  if (!wr_registry_lock(r, entry, wr_registry_ref(entry).generation, now_ns)) {
    wr_error_set(error, WR_ERROR_CLOSED, "the breaker is gone");
    return false;
  }
  bool ok = wr_breaker_reset(entry->state, now_ns);
  bool is_planned = wr_registry_plan(r, entry, now_ns);
  wr_registry_unlock(r, entry);
  if (is_planned) wr_slot_ring(r->arena, wr_slot_master(r->arena));
  if (!ok) {
    wr_error_set(error, WR_ERROR_REFUSED,
                 "its policy's mode, or its health check, keeps breaker '%s' as it is",
                 entry->name);
  }
  return ok;
}

bool wr_guard_resize(struct wr_registry *r, struct wr_entry *entry, uint32_t size, uint64_t now_ns,
                     struct wr_error *error)
{
  bool is_limiter = entry->kind == WR_KIND_LIMITER;
  bool fits = true;
  WR_CHECK(is_limiter || entry->kind == WR_KIND_BULKHEAD);
  if (!wr_registry_lock(r, entry, wr_registry_ref(entry).generation, now_ns)) {
    wr_error_set(error, WR_ERROR_CLOSED, "'%s' is gone", entry->name);
    return false;
  }
  if (is_limiter) {
    fits = wr_limiter_resize(entry->state, size, now_ns);
  } else {
    wr_bulkhead_resize(entry->state, size);
  }
  r->changed(r, entry, now_ns); // somebody may pass now who waits
  wr_registry_unlock(r, entry);
  if (!fits) {
    wr_error_set(error, WR_ERROR_INVALID, "limiter '%s' allows no more than 1000000 calls a second",
                 entry->name);
  }
  return fits;
}

bool wr_guard_look(struct wr_registry *r, struct wr_entry *entry, uint64_t now_ns, void *state)
{
  if (!wr_registry_lock(r, entry, wr_registry_ref(entry).generation, now_ns)) return false;
  memcpy(state, entry->state, r->kinds[entry->kind]->state_size);
  wr_registry_unlock(r, entry);
  return true;
}

// The master's part

uint32_t wr_guard_settle_dead(struct wr_registry *r, uint32_t slot, uint64_t now_ns,
                              const struct wr_guard_callbacks *callbacks)
{
  struct wr_guard dead;
  uint32_t count = 0;
  uint32_t at = 0;
  struct wr_guard_callbacks events_only = {0};
  if (callbacks) events_only = *callbacks;
  wr_guard_init(&dead, r, slot, events_only);
  struct wr_row *row;
  while ((row = wr_ledger_next(r->arena, slot, &at))) {
    count += finish(&dead, row, WR_OUTCOME_CANCELLED, now_ns);
  }
  wr_ledger_fini(&dead.ledger);
  for (uint32_t i = 0; i < r->arena->header->slot_count; i++) wr_slot_ring(r->arena, i);
  return count;
}

static uint64_t advance(struct wr_registry *r, struct wr_entry *entry, uint64_t now_ns,
                        const struct wr_guard_callbacks *callbacks)
{
  struct news news;
  no_news(&news);
  if (!wr_registry_lock(r, entry, wr_registry_ref(entry).generation, now_ns)) return UINT64_MAX;
  const struct wr_guard_kind *kind = wr_guard_kind_of(entry);
  if (kind && kind->advance) kind->advance(entry, now_ns);
  if (kind) gather(r, entry, &news, now_ns);
  uint64_t next_ns = atomic_load(&entry->next_ns);
  wr_registry_unlock(r, entry);
  news.is_planned = false; // it is the master that is here
  tell(r, entry, &news, callbacks);
  return next_ns;
}

uint64_t wr_guard_advance(struct wr_registry *r, uint64_t now_ns,
                          const struct wr_guard_callbacks *callbacks)
{
  uint64_t next_ns = UINT64_MAX;
  uint32_t at = 0;
  struct wr_entry *entry;
  wr_slot_hush(r->arena, wr_slot_master(r->arena));
  wr_registry_plan_begin(r);
  while ((entry = wr_registry_each(r, &at))) {
    uint64_t due_ns = atomic_load(&entry->next_ns);
    if (due_ns <= now_ns) due_ns = advance(r, entry, now_ns, callbacks);
    if (due_ns < next_ns) next_ns = due_ns;
  }
  return wr_registry_plan_end(r, next_ns);
}
