#pragma once
/// One worker of a stress run, and what must be true of the shared state at any time. For the
/// programs of this folder; what is tried on each kind of primitive: stress_kinds.h.
///
/// Time is a counter that every step advances by STEP_NS, so a run needs no clock.

#include "arena/series.h"
#include "arena/slab.h"
#include "arena/slot.h"
#include "base/check.h"
#include "base/duration.h"
#include "base/rng.h"
#include "script/guard.h"
#include "script/guard_kind.h"
#include "script/guard_row.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORKERS = 8, VARIANTS = 3, DYNAMIC = 12, HELD = 24, CONFIG_MAX = 512 };

#define STEP_NS (100 * UINT64_C(1000))

/// What all workers see, beside the arena.
struct stress_world {
  struct wr_arena *arena; ///< each process has the handle for itself
  struct wr_entry *entries[WR_KINDS][VARIANTS];
  enum wr_kind only; ///< operations on this kind alone; WR_KINDS: on all, and on the arena
  uint32_t series;
  _Atomic uint64_t now_ns;
  _Atomic uint64_t steps[WORKERS];
  _Atomic uint64_t added[WORKERS]; ///< to the series, by each
  _Atomic bool is_over;
};

/// One worker's own.
struct stress_worker {
  struct stress_world *world;
  struct wr_registry registry;
  struct wr_guard guard;
  struct wr_rng rng;
  uint32_t slot;
  uint64_t operations; // steps that did something
  uint64_t held[HELD]; // admissions
  uint32_t held_count;
  uint64_t waiting[HELD]; // in queues
  uint32_t waiting_count;
};

/// The ledger's rows of one entry.
struct stress_rows {
  uint32_t live, waiting;
};

/// What is tried on one kind, and what must be true of it. An entry is one of VARIANTS.
struct stress_kind {
  /// Fills zeroed memory of the kind's config_size.
  void (*configure)(void *config, uint32_t variant);
  /// Another configuration, as a reload brings it. May be NULL.
  void (*vary)(void *config, struct wr_rng *rng);
  /// What is asked beside a time to wait. May be NULL.
  void (*ask)(struct wr_guard_ask *ask, struct wr_rng *rng);
  /// Any operation, of kinds that do not just admit. False: it came to nothing.
  bool (*act)(struct stress_worker *me, struct wr_entry *entry, uint64_t now_ns);
  /// Under the entry's lock, at any time. May be NULL.
  void (*check)(struct wr_registry *r, struct wr_entry *entry, const struct stress_rows *rows,
                uint64_t now_ns);
  /// When all calls have ended. May be NULL.
  void (*check_empty)(struct wr_entry *entry, uint64_t now_ns);
};

static const struct stress_kind *const stress_kinds[WR_KINDS]; // NULL: not tried

static inline uint64_t stress_now(struct stress_world *w)
{
  return atomic_load_explicit(&w->now_ns, memory_order_relaxed);
}

static inline bool stress_remove(uint64_t *ids, uint32_t *count, uint64_t id)
{
  for (uint32_t i = 0; i < *count; i++) {
    if (ids[i] != id) continue;
    ids[i] = ids[--*count];
    return true;
  }
  return false;
}

static inline void stress_on_grant(void *ctx, uint64_t id, bool granted)
{
  struct stress_worker *me = ctx;
  WR_CHECK(stress_remove(me->waiting, &me->waiting_count, id));
  if (granted) me->held[me->held_count++] = id;
}

static inline void stress_worker_init(struct stress_worker *me, struct stress_world *w,
                                      uint32_t slot, uint64_t seed)
{
  *me = (struct stress_worker){.world = w, .slot = slot};
  wr_rng_init(&me->rng, seed);
  wr_guard_registry(&me->registry, w->arena);
  wr_guard_init(&me->guard, &me->registry, slot,
                (struct wr_guard_callbacks){.on_grant = stress_on_grant, .ctx = me});
}

// The steps. False: there was nothing to do it with.

static inline bool stress_has_room(const struct stress_worker *me)
{
  return me->held_count + me->waiting_count < HELD;
}

static inline bool stress_enter(struct stress_worker *me, struct wr_entry *entry, uint64_t now)
{
  const struct stress_kind *kind = stress_kinds[entry->kind];
  struct wr_error refusal = {0};
  struct wr_guard_ask ask = {0};
  if (!stress_has_room(me)) return false;
  if (wr_rng_below(&me->rng, 3)) ask.until_ns = now + wr_rng_below(&me->rng, 100) * STEP_NS;
  if (kind->ask) kind->ask(&ask, &me->rng);
  switch (wr_guard_enter(&me->guard, entry, &ask, now, &refusal)) {
  case WR_GUARD_ADMITTED: me->held[me->held_count++] = ask.id; break;
  case WR_GUARD_QUEUED: me->waiting[me->waiting_count++] = ask.id; break;
  case WR_GUARD_REFUSED: WR_CHECK(refusal.kind != WR_ERROR_NONE && refusal.message[0]); break;
  }
  return true;
}

static inline bool stress_leave(struct stress_worker *me, uint64_t now)
{
  if (me->held_count == 0) return false;
  uint32_t at = (uint32_t)wr_rng_below(&me->rng, me->held_count);
  uint64_t id = me->held[at];
  me->held[at] = me->held[--me->held_count];
  enum wr_outcome outcome = (enum wr_outcome)wr_rng_below(&me->rng, WR_OUTCOMES);
  WR_CHECK(wr_guard_leave(&me->guard, id, outcome, now));
  WR_CHECK(!wr_guard_leave(&me->guard, id, outcome, now));
  return true;
}

// A wait that is over was either announced or is still in the queue: no grant may be lost.
static inline bool stress_give_up(struct stress_worker *me, uint64_t now)
{
  if (me->waiting_count == 0) return false;
  uint64_t id = me->waiting[wr_rng_below(&me->rng, me->waiting_count)];
  if (!wr_guard_is_waiting(&me->guard, id)) {
    // It left the queue. Once its entry's lock was free, whoever granted it has announced it.
    struct wr_row *row = wr_ledger_row(&me->guard.ledger, id & 0xffffff);
    struct wr_entry *entry = wr_registry_get(&me->registry, wr_ledger_entry(row));
    WR_CHECK(entry);
    WR_CHECK(wr_registry_lock(&me->registry, entry, wr_registry_ref(entry).generation, now));
    wr_registry_unlock(&me->registry, entry);
    wr_guard_collect(&me->guard, now);
    WR_CHECK(!stress_remove(me->waiting, &me->waiting_count, id));
    return true;
  }
  stress_remove(me->waiting, &me->waiting_count, id);
  WR_CHECK(wr_guard_cancel_wait(&me->guard, id, now));
  return true;
}

static inline bool stress_collect(struct stress_worker *me, uint64_t now)
{
  bool is_any = me->waiting_count > 0;
  wr_guard_collect(&me->guard, now);
  return is_any;
}

static inline void stress_series(struct stress_worker *me)
{
  struct wr_arena *a = me->world->arena;
  char labels[32];
  int len = snprintf(labels, sizeof(labels), "name=\"%u\"", (unsigned)wr_rng_below(&me->rng, 200));
  wr_series_get(a, WR_METRIC_FALLBACK, (struct wr_str){labels, (size_t)len});
  wr_series_add(a, me->slot, me->world->series, 1);
  atomic_fetch_add_explicit(&me->world->added[me->slot], 1, memory_order_relaxed);
}

// Names that come and go: a reload now and then.
static inline void stress_registry(struct stress_worker *me, uint64_t now)
{
  struct wr_registry *r = &me->registry;
  struct wr_bulkhead_config config;
  struct wr_error error;
  char name[32];
  memset(&config, 0, sizeof(config));
  config.max = 1 + (uint32_t)wr_rng_below(&me->rng, 4);
  config.wait_ns = 1;
  int len = snprintf(name, sizeof(name), "dynamic-%u", (unsigned)wr_rng_below(&me->rng, DYNAMIC));
  struct wr_str text = {name, (size_t)len};
  struct wr_entry *entry = wr_registry_declare(r, WR_KIND_BULKHEAD, text, &config, now, &error);
  WR_CHECK(entry && strcmp(entry->name, name) == 0);
  wr_registry_hold(r, entry, me->slot);
  wr_registry_reconcile(r, entry, &config, now);
  struct wr_guard_ask ask = {0};
  if (wr_guard_enter(&me->guard, entry, &ask, now, &error) == WR_GUARD_ADMITTED) {
    WR_CHECK(wr_guard_leave(&me->guard, ask.id, WR_OUTCOME_SUCCESS, now));
  }
  wr_registry_drop(r, entry, me->slot);
}

static inline bool stress_reconcile(struct stress_worker *me, struct wr_entry *entry, uint64_t now)
{
  const struct stress_kind *kind = stress_kinds[entry->kind];
  _Alignas(16) char config[CONFIG_MAX];
  if (kind->vary == NULL) return false;
  if (!wr_registry_lock(&me->registry, entry, wr_registry_ref(entry).generation, now)) return false;
  memcpy(config, entry->config, me->registry.kinds[entry->kind]->config_size);
  wr_registry_unlock(&me->registry, entry);
  kind->vary(config, &me->rng);
  wr_registry_reconcile(&me->registry, entry, config, now);
  return true;
}

// What is tried on primitives that only admit.
static inline bool stress_admission(struct stress_worker *me, struct wr_entry *entry, uint64_t now)
{
  uint64_t dice = wr_rng_below(&me->rng, 100);
  if (dice < 41) return stress_enter(me, entry, now);
  if (dice < 79) return stress_leave(me, now);
  if (dice < 90) return stress_collect(me, now);
  return stress_give_up(me, now);
}

// One operation on one primitive.
static inline bool stress_primitive(struct stress_worker *me, struct wr_entry *entry, uint64_t now)
{
  const struct stress_kind *kind = stress_kinds[entry->kind];
  if (wr_rng_below(&me->rng, 100) == 0) return stress_reconcile(me, entry, now);
  return kind->act ? kind->act(me, entry, now) : stress_admission(me, entry, now);
}

static inline struct wr_entry *stress_any(struct stress_worker *me)
{
  struct stress_world *w = me->world;
  enum wr_kind kind = w->only;
  while (kind == WR_KINDS || stress_kinds[kind] == NULL) {
    kind = (enum wr_kind)wr_rng_below(&me->rng, WR_KINDS);
  }
  return w->entries[kind][wr_rng_below(&me->rng, VARIANTS)];
}

/// One random step of a worker's life.
static inline void stress_step(struct stress_worker *me)
{
  struct stress_world *w = me->world;
  uint64_t now = atomic_fetch_add_explicit(&w->now_ns, STEP_NS, memory_order_relaxed);
  uint64_t dice = w->only == WR_KINDS ? wr_rng_below(&me->rng, 100) : 0;
  bool is_done = true;
  if (dice < 89) {
    is_done = stress_primitive(me, stress_any(me), now);
  } else if (dice < 97) {
    stress_series(me);
  } else {
    stress_registry(me, now);
  }
  me->operations += is_done;
  wr_slot_beat(wr_slot_of(w->arena, me->slot), now);
  atomic_fetch_add_explicit(&w->steps[me->slot], 1, memory_order_relaxed);
}

// The world

/// The kind of that name, WR_KINDS for "all". Ends the program for "list", after the names of all
/// that are tried, and for a name that is none of them.
static inline enum wr_kind stress_kind_called(const char *name)
{
  bool wants_list = strcmp(name, "list") == 0;
  if (strcmp(name, "all") == 0) return WR_KINDS;
  for (int i = 0; i < WR_KINDS; i++) {
    const char *this = wr_registry_kind_name((enum wr_kind)i);
    if (stress_kinds[i] == NULL) continue;
    if (strcmp(this, name) == 0) return (enum wr_kind)i;
    if (wants_list) printf("%s\n", this);
  }
  if (!wants_list) fprintf(stderr, "no such kind: '%s' (try 'list')\n", name);
  exit(wants_list ? 0 : 2);
}

static inline void stress_declare(struct stress_world *w, struct wr_registry *r, enum wr_kind kind,
                                  uint32_t variant)
{
  _Alignas(16) char config[CONFIG_MAX] = {0};
  char name[32];
  struct wr_error error = {0};
  WR_CHECK(r->kinds[kind] && r->kinds[kind]->config_size <= CONFIG_MAX);
  stress_kinds[kind]->configure(config, variant);
  int len = snprintf(name, sizeof(name), "%s-%u", wr_registry_kind_name(kind), variant);
  struct wr_str text = {name, (size_t)len};
  struct wr_entry *entry = wr_registry_declare(r, kind, text, config, 1, &error);
  if (entry == NULL) fprintf(stderr, "%s\n", error.message);
  WR_CHECK(entry);
  wr_registry_hold(r, entry, wr_slot_master(w->arena));
  w->entries[kind][variant] = entry;
}

/// Fills `*w`, zeroed memory that all workers can reach, and makes the master's registry handle.
static inline void stress_world_init(struct stress_world *w, struct wr_registry *r,
                                     enum wr_kind only, uint64_t seed)
{
  struct wr_error error = {0};
  struct wr_arena_options options = {
      .worker_count = WORKERS,
      .ledger_rows = 64,
      .series_max = 512,
      .cache_bytes = 1 << 20,
      .entries_max = 128,
      .seed = seed,
  };
  w->only = only;
  bool is_open = wr_arena_open(w->arena, &options, &error);
  if (!is_open) fprintf(stderr, "%s\n", error.message);
  WR_CHECK(is_open);
  atomic_store(&w->now_ns, WR_SECOND);
  wr_guard_registry(r, w->arena);
  for (int kind = 0; kind < WR_KINDS; kind++) {
    if (stress_kinds[kind] == NULL) continue;
    for (uint32_t i = 0; i < VARIANTS; i++) stress_declare(w, r, (enum wr_kind)kind, i);
  }
  w->series = wr_series_get(w->arena, WR_METRIC_RESPONSES, WR_STR("route=\"/\""));
}

// What must be true at any time

static inline struct stress_rows stress_count(struct wr_registry *r, struct wr_entry *entry)
{
  struct stress_rows rows = {0, 0};
  uint64_t at = 0;
  struct wr_row *row;
  while ((row = wr_ledger_each(r->arena, wr_registry_ref(entry), &at, NULL))) {
    uint32_t state = atomic_load(&row->state);
    rows.live += state == WR_ROW_LIVE;
    rows.waiting += state == WR_ROW_WAITING;
  }
  return rows;
}

/// Checks every entry under its lock, once its kind has done what the clock demands.
static inline void stress_check(struct stress_world *w, struct wr_registry *r)
{
  uint32_t at = 0;
  struct wr_entry *entry;
  while ((entry = wr_registry_each(r, &at))) {
    const struct wr_guard_kind *kind = wr_guard_kind_of(entry);
    if (!wr_registry_lock(r, entry, wr_registry_ref(entry).generation, stress_now(w))) continue;
    uint64_t now = stress_now(w);
    if (kind && kind->advance) kind->advance(entry, now);
    struct stress_rows rows = stress_count(r, entry);
    if (stress_kinds[entry->kind]->check) stress_kinds[entry->kind]->check(r, entry, &rows, now);
    wr_registry_unlock(r, entry);
  }
}

/// Checks that nobody is inside anything any more.
static inline void stress_check_empty(struct stress_world *w, struct wr_registry *r)
{
  uint32_t at = 0;
  struct wr_entry *entry;
  stress_check(w, r);
  for (uint32_t slot = 0; slot <= WORKERS; slot++) WR_CHECK(wr_ledger_count(w->arena, slot) == 0);
  while ((entry = wr_registry_each(r, &at))) {
    const struct stress_kind *kind = stress_kinds[entry->kind];
    if (kind->check_empty) kind->check_empty(entry, stress_now(w));
  }
  // State and configuration of each entry, and nothing that was lost.
  struct wr_slab_stats slab;
  wr_slab_stats(w->arena, &slab);
  WR_CHECK(slab.objects == 2 * (uint64_t)wr_registry_count(r));
}

/// Checks the series: each death may have come between adding and counting what was added.
static inline void stress_check_series(struct stress_world *w, uint64_t deaths)
{
  uint64_t added = 0;
  for (int i = 0; i < WORKERS; i++) added += atomic_load(&w->added[i]);
  double value = wr_series_value(w->arena, w->series);
  WR_CHECK(value >= (double)added && value <= (double)(added + deaths));
}

#include "stress_kinds.h"
