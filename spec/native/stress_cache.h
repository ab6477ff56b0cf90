#pragma once
/// What a stress run tries on the shared cache. Included by stress_kinds.h alone.

#include "arena/cache.h"
#include "stress.h"

static inline void stress_cache_config(void *config, uint32_t variant)
{
  struct wr_cache_config *c = config;
  c->ttl_ns = (100 + variant) * WR_SECOND;
}

// Values tell their key and their space, so a mixed-up one is seen.
static inline void stress_cache_act(struct stress_worker *me, struct wr_entry *entry, uint64_t now)
{
  char text[512];
  unsigned number = (unsigned)wr_rng_below(&me->rng, 3000);
  int key_len = snprintf(text, sizeof(text), "key-%u", number);
  char fill = (char)('a' + (number + entry->index) % 26);
  size_t len = (size_t)key_len + wr_rng_below(&me->rng, sizeof(text) - (size_t)key_len);
  memset(text + key_len, fill, len - (size_t)key_len);
  struct wr_str key = {text, (size_t)key_len};
  if (wr_rng_below(&me->rng, 2)) {
    struct wr_cache_item item = {.key = key, .value = {text, len}, .stale_ns = UINT64_MAX};
    WR_CHECK(wr_cache_set(me->world->arena, entry, &item, now));
    return;
  }
  struct wr_buf value;
  wr_buf_init(&value, sizeof(text));
  struct wr_cache_found found = {.value = &value};
  if (wr_cache_get(me->world->arena, entry, key, now, &found) == WR_CACHE_FRESH) {
    struct wr_str got = wr_buf_str(&value);
    WR_CHECK(got.len >= key.len && memcmp(got.ptr, key.ptr, key.len) == 0);
    for (size_t i = key.len; i < got.len; i++) WR_CHECK(got.ptr[i] == fill);
  }
  wr_buf_fini(&value);
}

static const struct stress_kind stress_cache = {
    .configure = stress_cache_config,
    .act = stress_cache_act,
};
