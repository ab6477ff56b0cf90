#include "script/meter.h"

#include "base/alloc.h"

#include <stdarg.h>
#include <string.h>

void wr_meter_init(struct wr_meter *m, struct wr_arena *a, uint32_t shard, struct wr_hash_key key)
{
  *m = (struct wr_meter){.arena = a, .shard = shard};
  wr_map_init(&m->known, key);
  wr_map_init(&m->words, key);
  for (size_t i = 0; i < WR_METER_MEMOS; i++) m->memos[i].series = WR_SERIES_NONE;
}

void wr_meter_fini(struct wr_meter *m)
{
  wr_map_fini(&m->known);
  size_t at = 0;
  char *word;
  while ((word = wr_map_next(&m->words, &at, NULL)) != NULL) wr_free(word);
  wr_map_fini(&m->words);
}

static const char *find_word(struct wr_meter *m, struct wr_str text)
{
  const char *known = wr_map_get(&m->words, text);
  if (known != NULL) return known;
  char *word = wr_strndup(text.ptr, text.len);
  wr_map_put(&m->words, text, word);
  return word;
}

// Who asks at every request asks with the same text at the same address, mostly.
const char *wr_meter_word(struct wr_meter *m, struct wr_str text)
{
  struct wr_str *near = &m->near[((uintptr_t)text.ptr >> 4) % WR_METER_NEAR];
  if (near->ptr == NULL || !wr_str_eq(*near, text)) {
    *near = (struct wr_str){find_word(m, text), text.len};
  }
  return near->ptr;
}

static bool is_of(const struct wr_meter_memo *memo, const struct wr_meter_memo *key)
{
  return memo->family == key->family && memo->words[0] == key->words[0] &&
         memo->words[1] == key->words[1] && memo->code == key->code;
}

// Two that are asked for by turns, at every request, must not drive each other out: a pair holds
// both, the one that was made last in front.
uint32_t *wr_meter_memo(struct wr_meter *m, uint32_t family, const char *a, const char *b,
                        uint64_t code)
{
  struct wr_meter_memo key = {family, WR_SERIES_NONE, {a, b}, code};
  uint64_t hash = ((uintptr_t)a * 3 + (uintptr_t)b) * 5 + code * 7 + family;
  hash = hash * 0x9e3779b97f4a7c15u >> 32;
  struct wr_meter_memo *pair = &m->memos[hash % (WR_METER_MEMOS / 2) * 2];
  if (is_of(&pair[0], &key)) return &pair[0].series;
  if (is_of(&pair[1], &key)) return &pair[1].series;
  pair[1] = pair[0];
  pair[0] = key;
  return &pair[0].series;
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

uint32_t wr_meter_one(struct wr_meter *m, uint32_t family, const char *name, const char *value)
{
  uint32_t *series = wr_meter_memo(m, family, value, NULL, 0);
  if (*series == WR_SERIES_NONE) *series = wr_meter_series(m, family, name, value, NULL);
  return *series;
}

void wr_meter_count(struct wr_meter *m, uint32_t family, const char *const names[2], const char *a,
                    const char *b)
{
  uint32_t *series = wr_meter_memo(m, family, a, b, 0);
  if (*series == WR_SERIES_NONE) {
    *series = wr_meter_series(m, family, names[0], a, names[1], b, NULL);
  }
  wr_series_add(m->arena, m->shard, *series, 1);
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
