#include "script/meter.h"

#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

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

struct text {
  char bytes[WR_SERIES_LABELS_MAX];
  size_t len;
};

static void put(struct text *t, char c)
{
  if (t->len + 1 < sizeof(t->bytes)) t->bytes[t->len++] = c;
}

static void put_value(struct text *t, const char *value)
{
  for (; *value; value++) {
    if (*value == '\\' || *value == '"' || *value == '\n') put(t, '\\');
    put(t, *value == '\n' ? 'n' : *value);
  }
}

static void put_labels(struct text *t, va_list args)
{
  const char *name;
  bool first = true;
  while ((name = va_arg(args, const char *)) != NULL) {
    if (!first) put(t, ',');
    first = false;
    for (; *name; name++) put(t, *name);
    put(t, '=');
    put(t, '"');
    put_value(t, va_arg(args, const char *));
    put(t, '"');
  }
}

// The key is the family's number in four characters, then the labels.
static uint32_t find(struct wr_meter *m, uint32_t family, va_list args)
{
  struct text key = {.len = 4};
  snprintf(key.bytes, sizeof(key.bytes), "%04x", family & 0xffff);
  put_labels(&key, args);
  struct wr_str whole = {key.bytes, key.len};
  uintptr_t known = (uintptr_t)wr_map_get(&m->known, whole);
  if (known != 0) return (uint32_t)(known - 1);
  struct wr_str labels = {key.bytes + 4, key.len - 4};
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
