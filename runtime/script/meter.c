#include "script/meter.h"

#include "base/buf.h"

#include <stdarg.h>
#include <string.h>

void wr_meter_init(struct wr_meter *m, struct wr_arena *a, uint32_t shard, struct wr_hash_key key)
{
  m->arena = a;
  m->shard = shard;
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

// The key is the family's number in FAMILY_BYTES bytes, then the labels.
static uint32_t find(struct wr_meter *m, uint32_t family, va_list args)
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
