#include "script/meter.h"

#include "base/buf.h"

#include <stdarg.h>
#include <string.h>

void wr_meter_init(struct wr_meter *m, struct wr_arena *a, uint32_t shard, struct wr_hash_key key)
{
  *m = (struct wr_meter){.arena = a, .shard = shard};
  wr_map_init(&m->known, key);
}

void wr_meter_fini(struct wr_meter *m)
{
  wr_map_fini(&m->known);
}

enum { FAMILY_BYTES = sizeof(uint32_t) };

struct text {
  char bytes[WR_SERIES_LABELS_MAX];
  size_t len;
};

static void put(struct text *t, struct wr_str s)
{
  size_t room = sizeof(t->bytes) - 1 - t->len;
  size_t len = s.len < room ? s.len : room;
  memcpy(t->bytes + t->len, s.ptr, len);
  t->len += len;
}

static void put_value(struct text *t, const char *value)
{
  for (;;) {
    size_t plain = strcspn(value, "\\\"\n");
    put(t, (struct wr_str){value, plain});
    value += plain;
    if (*value == '\0') return;
    put(t, WR_STR("\\"));
    put(t, *value == '\n' ? WR_STR("n") : (struct wr_str){value, 1});
    value++;
  }
}

static void put_labels(struct text *t, va_list args)
{
  const char *name;
  struct wr_str comma = WR_STR("");
  while ((name = va_arg(args, const char *)) != NULL) {
    put(t, comma);
    put(t, wr_str_of(name));
    put(t, WR_STR("=\""));
    put_value(t, va_arg(args, const char *));
    put(t, WR_STR("\""));
    comma = WR_STR(",");
  }
}

// By text: the key is the family's number in FAMILY_BYTES bytes, then the labels.
static uint32_t search(struct wr_meter *m, uint32_t family, va_list args)
{
  struct text key;
  memcpy(key.bytes, &family, FAMILY_BYTES);
  key.len = FAMILY_BYTES;
  put_labels(&key, args);
  struct wr_str whole = {key.bytes, key.len};
  uintptr_t known = (uintptr_t)wr_map_get(&m->known, whole);
  if (known != 0) return (uint32_t)(known - 1);
  struct wr_str labels = {key.bytes + FAMILY_BYTES, key.len - FAMILY_BYTES};
  uint32_t series = wr_series_get(m->arena, family, labels);
  wr_map_put(&m->known, whole, (void *)((uintptr_t)series + 1));
  return series;
}

// The family and the values alone, each with its NUL: names, quotes and escapes follow from them.
// 0 when they do not fit.
static size_t put_key(char key[WR_METER_RECENT_KEY], uint32_t family, va_list args)
{
  memcpy(key, &family, FAMILY_BYTES);
  size_t len = FAMILY_BYTES;
  while (va_arg(args, const char *) != NULL) {
    const char *value = va_arg(args, const char *);
    size_t size = strlen(value) + 1;
    if (size > WR_METER_RECENT_KEY - len) return 0;
    memcpy(key + len, value, size);
    len += size;
  }
  return len;
}

// Where among the recent ones. Whoever prepares collisions only makes others search.
static struct wr_meter_recent *place_of(struct wr_meter *m, const char *key, size_t len)
{
  uint64_t hash = len;
  for (size_t at = 0; at < len; at += sizeof(uint64_t)) {
    uint64_t word = 0;
    memcpy(&word, key + at, len - at < sizeof(word) ? len - at : sizeof(word));
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 32;
  }
  return &m->recent[hash % WR_METER_RECENT];
}

static uint32_t find(struct wr_meter *m, uint32_t family, va_list args)
{
  char key[WR_METER_RECENT_KEY];
  va_list again;
  va_copy(again, args);
  size_t len = put_key(key, family, again);
  va_end(again);
  if (len == 0) return search(m, family, args);
  struct wr_meter_recent *recent = place_of(m, key, len);
  if (recent->len == len && memcmp(recent->key, key, len) == 0) return recent->series;
  recent->series = search(m, family, args);
  recent->len = (uint32_t)len;
  memcpy(recent->key, key, len);
  return recent->series;
}

uint32_t wr_meter_series(struct wr_meter *m, uint32_t family, ...)
{
  va_list args;
  va_start(args, family);
  uint32_t series = find(m, family, args);
  va_end(args);
  return series;
}

void wr_meter_add(struct wr_meter *m, uint32_t family, double value, ...)
{
  va_list args;
  va_start(args, value);
  wr_series_add(m->arena, m->shard, find(m, family, args), value);
  va_end(args);
}

void wr_meter_observe(struct wr_meter *m, uint32_t family, double value, ...)
{
  va_list args;
  va_start(args, value);
  wr_series_observe(m->arena, m->shard, find(m, family, args), value);
  va_end(args);
}
