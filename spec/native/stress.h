#pragma once
/// One worker of a stress run, and what must be true of the shared state at any time. For the
/// programs of this folder.
///
/// Time is a counter that every step advances by STEP_NS, so a run needs no clock.

#include "arena/series.h"
#include "arena/slab.h"
#include "arena/slot.h"
#include "base/check.h"
#include "base/duration.h"
#include "base/rng.h"
#include "script/guard.h"
#include "script/guard_cache.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { WORKERS = 8, BULKHEADS = 3, BREAKERS = 3, DYNAMIC = 12, HELD = 24 };

#define STEP_NS (100 * UINT64_C(1000))

/// What all workers see, beside the arena.
struct stress_world {
  struct wr_arena *arena; ///< each process has the handle for itself
  struct wr_entry *bulkheads[BULKHEADS];
  struct wr_entry *breakers[BREAKERS];
  struct wr_entry *budget, *cache;
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
  uint64_t held[HELD]; // admissions
  uint32_t held_count;
  uint64_t waiting[HELD]; // in queues
  uint32_t waiting_count;
};

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

// The steps

static inline bool stress_has_room(const struct stress_worker *me)
{
  return me->held_count + me->waiting_count < HELD;
}

static inline void stress_enter(struct stress_worker *me, uint64_t now)
{
  struct stress_world *w = me->world;
  struct wr_error refusal;
  struct wr_guard_ask ask = {0};
  if (!stress_has_room(me)) return;
  struct wr_entry *entry = wr_rng_below(&me->rng, 2)
                               ? w->breakers[wr_rng_below(&me->rng, BREAKERS)]
                               : w->bulkheads[wr_rng_below(&me->rng, BULKHEADS)];
  if (wr_rng_below(&me->rng, 4) == 0) entry = w->cache;
  ask.key = wr_rng_below(&me->rng, 3);
  if (wr_rng_below(&me->rng, 3)) ask.until_ns = now + wr_rng_below(&me->rng, 100) * STEP_NS;
  switch (wr_guard_enter(&me->guard, entry, &ask, now, &refusal)) {
  case WR_GUARD_ADMITTED: me->held[me->held_count++] = ask.id; break;
  case WR_GUARD_QUEUED: me->waiting[me->waiting_count++] = ask.id; break;
  case WR_GUARD_REFUSED: WR_CHECK(refusal.kind == WR_ERROR_REFUSED); break;
  }
}

static inline void stress_leave(struct stress_worker *me, uint64_t now)
{
  if (me->held_count == 0) return;
  uint32_t at = (uint32_t)wr_rng_below(&me->rng, me->held_count);
  uint64_t id = me->held[at];
  me->held[at] = me->held[--me->held_count];
  enum wr_outcome outcome = (enum wr_outcome)wr_rng_below(&me->rng, WR_OUTCOMES);
  WR_CHECK(wr_guard_leave(&me->guard, id, outcome, now));
  WR_CHECK(!wr_guard_leave(&me->guard, id, outcome, now));
}

// A wait that is over was either announced or is still in the queue: no grant may be lost.
static inline void stress_give_up(struct stress_worker *me, uint64_t now)
{
  if (me->waiting_count == 0) return;
  uint64_t id = me->waiting[wr_rng_below(&me->rng, me->waiting_count)];
  if (wr_guard_wait_until(&me->guard, id) == 0) {
    // It left the queue. Once its entry's lock was free, whoever granted it has announced it.
    struct wr_row *row = wr_ledger_row(&me->guard.ledger, id & 0xffffff);
    struct wr_entry *entry = wr_registry_get(&me->registry, wr_ledger_entry(row));
    union {
      struct wr_bulkhead bulkhead;
      struct wr_cache_state cache;
    } copy;
    WR_CHECK(entry && wr_guard_look(&me->registry, entry, now, &copy));
    wr_guard_collect(&me->guard, now);
    WR_CHECK(!stress_remove(me->waiting, &me->waiting_count, id));
    return;
  }
  stress_remove(me->waiting, &me->waiting_count, id);
  WR_CHECK(wr_guard_cancel_wait(&me->guard, id, now));
}

// Values tell their key, so a mixed-up one is seen.
static inline void stress_cache(struct stress_worker *me, uint64_t now)
{
  char text[512];
  unsigned number = (unsigned)wr_rng_below(&me->rng, 3000);
  int key_len = snprintf(text, sizeof(text), "key-%u", number);
  size_t len = (size_t)key_len + wr_rng_below(&me->rng, sizeof(text) - (size_t)key_len);
  memset(text + key_len, (int)('a' + number % 26), len - (size_t)key_len);
  struct wr_str key = {text, (size_t)key_len};
  if (wr_rng_below(&me->rng, 2)) {
    struct wr_cache_item item = {.key = key, .value = {text, len}, .stale_ns = UINT64_MAX};
    WR_CHECK(wr_cache_set(me->world->arena, me->world->cache, &item, now));
    return;
  }
  struct wr_buf value;
  wr_buf_init(&value, sizeof(text));
  struct wr_cache_found found = {.value = &value};
  if (wr_cache_get(me->world->arena, me->world->cache, key, now, &found) == WR_CACHE_FRESH) {
    struct wr_str got = wr_buf_str(&value);
    WR_CHECK(got.len >= key.len && memcmp(got.ptr, key.ptr, key.len) == 0);
    for (size_t i = key.len; i < got.len; i++) WR_CHECK(got.ptr[i] == (char)('a' + number % 26));
  }
  wr_buf_fini(&value);
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

static inline void stress_reconcile(struct stress_worker *me, uint64_t now)
{
  struct wr_entry *entry = me->world->bulkheads[wr_rng_below(&me->rng, BULKHEADS)];
  struct wr_bulkhead state;
  if (!wr_guard_look(&me->registry, entry, now, &state)) return;
  struct wr_bulkhead_config config;
  memcpy(&config, &state.config, sizeof(config));
  config.max = 2 + (uint32_t)wr_rng_below(&me->rng, 12);
  wr_registry_reconcile(&me->registry, entry, &config, now);
}

static inline void stress_budget(struct stress_worker *me, uint64_t now)
{
  if (wr_rng_below(&me->rng, 2)) {
    wr_guard_budget_deposit(&me->guard, me->world->budget, now);
  } else {
    wr_guard_budget_withdraw(&me->guard, me->world->budget, now);
  }
}

/// One random step of a worker's life.
static inline void stress_step(struct stress_worker *me)
{
  struct stress_world *w = me->world;
  uint64_t now = atomic_fetch_add_explicit(&w->now_ns, STEP_NS, memory_order_relaxed);
  uint64_t dice = wr_rng_below(&me->rng, 100);
  if (dice < 30) {
    stress_enter(me, now);
  } else if (dice < 58) {
    stress_leave(me, now);
  } else if (dice < 66) {
    wr_guard_collect(&me->guard, now);
  } else if (dice < 74) {
    stress_give_up(me, now);
  } else if (dice < 82) {
    stress_cache(me, now);
  } else if (dice < 90) {
    stress_series(me);
  } else if (dice < 94) {
    stress_budget(me, now);
  } else if (dice < 97) {
    stress_registry(me, now);
  } else if (dice < 98) {
    stress_reconcile(me, now);
  }
  wr_slot_beat(wr_slot_of(w->arena, me->slot), now);
  atomic_fetch_add_explicit(&w->steps[me->slot], 1, memory_order_relaxed);
}

// The world

static inline void stress_breaker(struct stress_world *w, struct wr_registry *r, uint32_t i)
{
  struct wr_breaker_config c;
  struct wr_error error;
  memset(&c, 0, sizeof(c));
  struct wr_breaker_config defaults;
  wr_breaker_config_init(&defaults);
  memcpy(&c, &defaults, sizeof(c));
  c.open_ns = 200 * STEP_NS;
  c.open_max_ns = 2000 * STEP_NS;
  c.attempt_timeout_ns = 300 * STEP_NS;
  c.half_open_ns = 1000 * STEP_NS;
  c.ramp_ns = i == 1 ? 500 * STEP_NS : 0;
  c.slow_call_ns = i == 2 ? 2000 * STEP_NS : 0;
  c.slow_rate = i == 2 ? 0.5 : 0;
  c.consecutive = i == 0 ? 3 : 0;
  char name[16];
  int len = snprintf(name, sizeof(name), "breaker-%u", i);
  w->breakers[i] =
      wr_registry_declare(r, WR_KIND_BREAKER, (struct wr_str){name, (size_t)len}, &c, 1, &error);
  WR_CHECK(w->breakers[i]);
}

static inline void stress_bulkhead(struct stress_world *w, struct wr_registry *r, uint32_t i)
{
  struct wr_bulkhead_config c;
  struct wr_error error;
  memset(&c, 0, sizeof(c));
  c.max = 3 + 2 * i;
  c.queue = 16;
  c.wait_ns = 400 * STEP_NS;
  c.order = i == 2 ? WR_BULKHEAD_ADAPTIVE : WR_BULKHEAD_FIFO;
  c.target_ns = 20 * STEP_NS;
  c.interval_ns = 100 * STEP_NS;
  char name[16];
  int len = snprintf(name, sizeof(name), "bulkhead-%u", i);
  w->bulkheads[i] =
      wr_registry_declare(r, WR_KIND_BULKHEAD, (struct wr_str){name, (size_t)len}, &c, 1, &error);
  WR_CHECK(w->bulkheads[i]);
}

/// Fills `*w`, zeroed memory that all workers can reach, and makes the master's registry handle.
static inline void stress_world_init(struct stress_world *w, struct wr_registry *r, uint64_t seed)
{
  struct wr_error error = {0};
  struct wr_arena_options options = {
      .worker_count = WORKERS,
      .ledger_rows = 64,
      .series_max = 512,
      .cache_bytes = 1 << 20,
      .entries_max = 64,
      .seed = seed,
  };
  bool is_open = wr_arena_open(w->arena, &options, &error);
  if (!is_open) fprintf(stderr, "%s\n", error.message);
  WR_CHECK(is_open);
  atomic_store(&w->now_ns, WR_SECOND);
  wr_guard_registry(r, w->arena);
  struct wr_budget_config budget;
  wr_budget_config_init(&budget);
  struct wr_cache_options cache = {.space = {.ttl_ns = 100 * WR_SECOND}, .waiters = 40};
  w->budget = wr_registry_declare(r, WR_KIND_BUDGET, WR_STR("budget"), &budget, 1, &error);
  w->cache = wr_registry_declare(r, WR_KIND_CACHE, WR_STR("cache"), &cache, 1, &error);
  WR_CHECK(w->budget && w->cache);
  for (uint32_t i = 0; i < BULKHEADS; i++) stress_bulkhead(w, r, i);
  for (uint32_t i = 0; i < BREAKERS; i++) stress_breaker(w, r, i);
  uint32_t at = 0;
  for (struct wr_entry *e = wr_registry_each(r, &at); e; e = wr_registry_each(r, &at)) {
    wr_registry_hold(r, e, wr_slot_master(w->arena));
  }
  w->series = wr_series_get(w->arena, WR_METRIC_RESPONSES, WR_STR("route=\"/\""));
}

// What must be true at any time

static inline void stress_check_bulkhead(struct wr_registry *r, struct wr_entry *entry)
{
  const struct wr_bulkhead *b = entry->state;
  uint32_t live = 0, waiting = 0;
  uint64_t at = 0;
  struct wr_row *row;
  while ((row = wr_ledger_each(r->arena, wr_registry_ref(entry), &at, NULL))) {
    uint32_t state = atomic_load(&row->state);
    live += state == WR_ROW_LIVE;
    waiting += state == WR_ROW_WAITING;
  }
  WR_CHECK(b->in_use == live);
  WR_CHECK(b->queued == waiting);
  uint32_t linked = 0;
  for (const struct wr_list *l = b->waiters.next; l != &b->waiters; l = l->next) {
    WR_CHECK(l->next->prev == l && ++linked <= waiting);
  }
  WR_CHECK(linked == waiting);
}

// One leader for each key that anybody follows, and rows for all of them.
static inline void stress_check_cache(struct wr_registry *r, struct wr_entry *entry)
{
  const struct wr_flight *f = &((const struct wr_cache_state *)entry->state)->flight;
  uint32_t live[3] = {0, 0, 0}, waiting[3] = {0, 0, 0};
  uint64_t at = 0;
  struct wr_row *row;
  while ((row = wr_ledger_each(r->arena, wr_registry_ref(entry), &at, NULL))) {
    const struct wr_flight_member *m = (const struct wr_flight_member *)row->payload;
    uint32_t state = atomic_load(&row->state);
    live[m->key] += state == WR_ROW_LIVE;
    waiting[m->key] += state == WR_ROW_WAITING;
  }
  for (int key = 0; key < 3; key++) {
    WR_CHECK(live[key] <= 1 && (live[key] == 1 || waiting[key] == 0));
    WR_CHECK(wr_flight_is_led(f, (uint64_t)key) == (live[key] == 1));
  }
  WR_CHECK(f->leaders == live[0] + live[1] + live[2]);
  WR_CHECK(f->followers == waiting[0] + waiting[1] + waiting[2]);
}

static inline void stress_check_breaker(struct wr_registry *r, struct wr_entry *entry)
{
  const struct wr_breaker *b = entry->state;
  uint32_t live[2] = {0, 0};
  uint64_t at = 0;
  struct wr_row *row;
  while ((row = wr_ledger_each(r->arena, wr_registry_ref(entry), &at, NULL))) {
    const struct wr_ticket *t = (const struct wr_ticket *)row->payload;
    WR_CHECK(!t->done);
    if (t->generation == b->generation) live[t->kind == WR_TICKET_PROBE]++;
  }
  WR_CHECK(b->inflight.count == live[0]);
  // A lease that lapsed is a verdict; its call may still be running.
  WR_CHECK(b->probes.live <= live[1]);
  WR_CHECK(b->probes.live <= b->config.probes);
  if (b->state == WR_BREAKER_HALF_OPEN) {
    WR_CHECK(b->until_ns <= b->since_ns + b->config.half_open_ns);
  }
}

/// Checks every entry under its lock, then that no breaker stays half-open past its time.
static inline void stress_check(struct stress_world *w, struct wr_registry *r)
{
  uint32_t at = 0;
  struct wr_entry *entry;
  while ((entry = wr_registry_each(r, &at))) {
    uint64_t now = stress_now(w);
    if (!wr_registry_lock(r, entry, wr_registry_ref(entry).generation, now)) continue;
    if (entry->kind == WR_KIND_BULKHEAD) stress_check_bulkhead(r, entry);
    if (entry->kind == WR_KIND_CACHE) stress_check_cache(r, entry);
    if (entry->kind == WR_KIND_BREAKER) {
      wr_breaker_advance(entry->state, now);
      stress_check_breaker(r, entry);
      const struct wr_breaker *b = entry->state;
      WR_CHECK(b->state != WR_BREAKER_HALF_OPEN || b->until_ns > now);
    }
    wr_registry_unlock(r, entry);
  }
}

/// Checks that nobody is inside anything any more.
static inline void stress_check_empty(struct stress_world *w, struct wr_registry *r)
{
  uint64_t now = stress_now(w);
  uint32_t at = 0;
  struct wr_entry *entry;
  stress_check(w, r);
  for (uint32_t slot = 0; slot <= WORKERS; slot++) WR_CHECK(wr_ledger_count(w->arena, slot) == 0);
  while ((entry = wr_registry_each(r, &at))) {
    struct wr_breaker_stats stats;
    const struct wr_bulkhead *b = entry->state;
    if (entry->kind == WR_KIND_BULKHEAD) WR_CHECK(b->in_use == 0 && b->queued == 0);
    if (entry->kind != WR_KIND_BREAKER) continue;
    wr_breaker_stats(entry->state, now, &stats);
    WR_CHECK(stats.inflight == 0 && stats.probes == 0);
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
