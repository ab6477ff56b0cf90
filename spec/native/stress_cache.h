#pragma once
/// What a stress run tries on the shared cache. Included by stress_kinds.h alone.

#include "script/guard_cache.h"
#include "stress.h"

enum { STRESS_CACHE_KEYS = 3 };

static inline void stress_cache_config(void *config, uint32_t variant)
{
  struct wr_cache_options *c = config;
  c->space.ttl_ns = (100 + variant) * WR_SECOND;
  c->waiters = 40;
}

// Values tell their key and their space, so a mixed-up one is seen.
static inline void stress_cache_use(struct stress_worker *me, struct wr_entry *entry, uint64_t now)
{
  char text[512];
  unsigned number = (unsigned)wr_rng_below(&me->rng, 3000);
  int key_len = snprintf(text, sizeof(text), "key-%u", number);
  char fill = (char)('a' + (number + entry->index) % 26);
  size_t len = (size_t)key_len + wr_rng_below(&me->rng, sizeof(text) - (size_t)key_len);
  memset(text + key_len, fill, len - (size_t)key_len);
  struct wr_str key = {text, (size_t)key_len};
  if (wr_rng_below(&me->rng, 2)) {
    struct wr_cache_item item = {
        .at = {entry, key, false}, .value = {text, len}, .stale_ns = UINT64_MAX};
    WR_CHECK(wr_cache_set(me->world->arena, &item, now) == WR_CACHE_STORED);
    return;
  }
  struct wr_buf value;
  wr_buf_init(&value, sizeof(text));
  struct wr_cache_found found = {.value = &value};
  struct wr_cache_key at = {entry, key, false};
  if (wr_cache_get(me->world->arena, &at, now, &found) == WR_CACHE_IS_FRESH) {
    struct wr_str got = wr_buf_str(&value);
    WR_CHECK(got.len >= key.len && memcmp(got.ptr, key.ptr, key.len) == 0);
    for (size_t i = key.len; i < got.len; i++) WR_CHECK(got.ptr[i] == fill);
  }
  wr_buf_fini(&value);
}

static inline void stress_cache_ask(struct wr_guard_ask *ask, struct wr_rng *rng)
{
  ask->key = wr_rng_below(rng, STRESS_CACHE_KEYS);
}

static inline bool stress_cache_act(struct stress_worker *me, struct wr_entry *entry, uint64_t now)
{
  uint64_t dice = wr_rng_below(&me->rng, 100);
  if (dice < 30) {
    stress_cache_use(me, entry, now);
    return true;
  }
  if (dice < 60) return stress_enter(me, entry, now);
  if (dice < 80) return stress_leave(me, now);
  if (dice < 92) return stress_collect(me, now);
  return stress_give_up(me, now);
}

// One leader for each key that anybody follows, and rows for all of them.
static inline void stress_cache_check(struct wr_registry *r, struct wr_entry *entry,
                                      const struct stress_rows *rows, uint64_t now_ns)
{
  (void)now_ns;
  const struct wr_flight *f = &((const struct wr_cache_state *)entry->state)->flight;
  uint32_t live[STRESS_CACHE_KEYS] = {0}, waiting[STRESS_CACHE_KEYS] = {0};
  uint64_t at = 0;
  struct wr_row *row;
  while ((row = wr_ledger_each(r->arena, wr_registry_ref(entry), &at, NULL))) {
    const struct wr_flight_member *m = (const struct wr_flight_member *)row->payload;
    uint32_t state = atomic_load(&row->state);
    if (state != WR_ROW_LIVE && state != WR_ROW_WAITING) continue;
    live[m->key] += state == WR_ROW_LIVE;
    waiting[m->key] += state == WR_ROW_WAITING;
  }
  for (uint64_t key = 0; key < STRESS_CACHE_KEYS; key++) {
    WR_CHECK(live[key] <= 1 && (live[key] == 1 || waiting[key] == 0));
    WR_CHECK(wr_flight_is_led(f, key) == (live[key] == 1));
  }
  WR_CHECK(f->leaders == rows->live && f->followers == rows->waiting);
}

static inline void stress_cache_empty(struct wr_entry *entry, uint64_t now_ns)
{
  (void)now_ns;
  const struct wr_flight *f = &((const struct wr_cache_state *)entry->state)->flight;
  WR_CHECK(f->leaders == 0 && f->followers == 0);
}

static const struct stress_kind stress_cache = {
    .configure = stress_cache_config,
    .ask = stress_cache_ask,
    .act = stress_cache_act,
    .check = stress_cache_check,
    .check_empty = stress_cache_empty,
};
