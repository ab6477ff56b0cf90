#include "arena/series.h"

#include "arena/series_table.h"
#include "base/check.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define NONE WR_SERIES_NONE

// What a series takes on average: histograms are few, labels short. Every family has its "other"
// beside. Pages of cells that nothing was counted in take no memory.
enum {
  CELLS_PER_SERIES = 40,
  CELLS_PER_OTHER = WR_SERIES_BUCKETS + 2 + WR_SERIES_FINE,
  TEXT_PER_SERIES = 160,
};

// Layout

static uint32_t bucket_count(uint32_t series_max)
{
  uint32_t count = 64;
  while (count < series_max) count *= 2;
  return count;
}

struct layout {
  size_t series, text, cells, end; // after the table and its buckets
  uint32_t text_max, cells_max;
};

static size_t lines(size_t bytes)
{
  return (bytes + 63) / 64 * 64;
}

static struct layout plan(uint32_t slot_count, uint32_t series_max)
{
  struct layout l = {
      .text_max = series_max * TEXT_PER_SERIES + WR_SERIES_FAMILIES * WR_SERIES_LABELS_MAX,
      .cells_max = series_max * CELLS_PER_SERIES + WR_SERIES_FAMILIES * CELLS_PER_OTHER,
  };
  l.series = lines(sizeof(struct wr_series_table) + bucket_count(series_max) * sizeof(uint32_t));
  l.text = l.series + lines((series_max + WR_SERIES_FAMILIES) * sizeof(struct wr_series));
  l.cells = l.text + lines(l.text_max);
  l.end = l.cells + (size_t)slot_count * l.cells_max * sizeof(double);
  return l;
}

size_t wr_series_size(uint32_t slot_count, uint32_t series_max)
{
  return plan(slot_count, series_max).end;
}

// How much is used follows from the last series.
static struct wr_series last_series(const struct wr_series_table *t)
{
  uint32_t count = atomic_load(&t->count);
  return count ? t->series[count - 1] : (struct wr_series){0};
}

size_t wr_series_used(const struct wr_arena *a)
{
  const struct wr_series_table *t = wr_series_table_of(a);
  return (size_t)(t->text - (const char *)t) + last_series(t).text_end;
}

// Lock

static struct wr_str labels_of(const struct wr_series_table *t, const struct wr_series *s)
{
  return (struct wr_str){t->text + s->text_end - s->labels_len, s->labels_len};
}

static uint32_t *bucket_of(const struct wr_arena *a, uint32_t family, struct wr_str labels)
{
  struct wr_series_table *t = wr_series_table_of(a);
  uint64_t hash = wr_hash_sip(&a->header->hash_key, labels) + family * 0x9e3779b97f4a7c15u;
  return &t->buckets[(hash ^ hash >> 32) & (t->bucket_count - 1)];
}

// Appends to its family; everything a reader follows is in place before.
static void link_series(struct wr_arena *a, uint32_t number)
{
  struct wr_series_table *t = wr_series_table_of(a);
  struct wr_series *s = &t->series[number];
  struct wr_series_family *f = &t->families[s->family];
  uint32_t *bucket = bucket_of(a, s->family, labels_of(t, s));
  s->hash_next = *bucket;
  *bucket = number;
  _Atomic uint32_t *link = f->last == NONE ? &f->first : &t->series[f->last].next;
  atomic_store_explicit(link, number, memory_order_release);
  f->last = number;
  f->count++;
}

// The text of the family's "other" is the only one that says so everywhere.
static bool is_other(struct wr_str labels);

static void repair_table(struct wr_arena *a)
{
  struct wr_series_table *t = wr_series_table_of(a);
  uint32_t count = atomic_load(&t->count);
  for (uint32_t i = 0; i < t->bucket_count; i++) t->buckets[i] = NONE;
  for (uint32_t i = 0; i < WR_SERIES_FAMILIES; i++) {
    t->families[i].last = NONE;
    t->families[i].count = 0;
    t->families[i].other = NONE;
  }
  // Readers may be walking: links get the values that they have, or the missing last one.
  for (uint32_t i = 0; i < count; i++) {
    link_series(a, i);
    if (is_other(labels_of(t, &t->series[i]))) t->families[t->series[i].family].other = i;
  }
}

void wr_series_lock(struct wr_arena *a)
{
  if (!wr_lock_take(a, &wr_series_table_of(a)->lock)) return;
  repair_table(a);
  wr_lock_mark_repaired(a, &wr_series_table_of(a)->lock);
}

void wr_series_unlock(struct wr_arena *a)
{
  wr_lock_give(a, &wr_series_table_of(a)->lock);
}

// Families

static bool is_name(const char *name)
{
  size_t len = strnlen(name, WR_SERIES_NAME_MAX + 1);
  if (len == 0 || len > WR_SERIES_NAME_MAX || (*name >= '0' && *name <= '9')) return false;
  return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:") == len;
}

static const char *family_fault(const struct wr_family *f)
{
  if (!is_name(f->name)) return "the name is not like [a-zA-Z_:][a-zA-Z0-9_:]*";
  if (f->type > WR_SERIES_HISTOGRAM) return "there is no such type";
  if (f->bucket_count > WR_SERIES_BUCKETS) return "it has too many buckets";
  if ((f->type == WR_SERIES_HISTOGRAM) != (f->bucket_count > 0)) {
    return "histograms have buckets, others have none";
  }
  for (uint32_t i = 0; i < f->bucket_count; i++) {
    if (!isfinite(f->buckets[i])) return "a bucket is not finite";
    if (i > 0 && f->buckets[i] <= f->buckets[i - 1]) return "the buckets do not ascend";
  }
  return NULL;
}

static bool is_same(const struct wr_family *a, const struct wr_family *b)
{
  return a->type == b->type && a->is_max == b->is_max && a->bucket_count == b->bucket_count &&
         memcmp(a->buckets, b->buckets, a->bucket_count * sizeof(double)) == 0;
}

static int find_family(const struct wr_series_table *t, const char *name)
{
  uint32_t count = atomic_load(&t->family_count);
  for (uint32_t i = 0; i < count; i++) {
    if (strcmp(t->families[i].public.name, name) == 0) return (int)i;
  }
  return -1;
}

static int add_family(struct wr_series_table *t, const struct wr_family *family)
{
  uint32_t number = atomic_load(&t->family_count);
  if (number == WR_SERIES_FAMILIES) return -1;
  struct wr_series_family *f = &t->families[number];
  f->public = *family;
  f->public.help[WR_SERIES_HELP_MAX] = '\0';
  f->last = NONE;
  f->other = NONE;
  f->count = 0;
  atomic_store(&f->first, NONE);
  atomic_store_explicit(&t->family_count, number + 1, memory_order_release);
  return (int)number;
}

int wr_series_family(struct wr_arena *a, const struct wr_family *family, struct wr_error *error)
{
  struct wr_series_table *t = wr_series_table_of(a);
  const char *fault = family_fault(family);
  if (fault) {
    wr_error_set(error, WR_ERROR_INVALID, "metric '%.*s': %s", WR_SERIES_NAME_MAX, family->name,
                 fault);
    return -1;
  }
  wr_series_lock(a);
  int found = find_family(t, family->name);
  int number = found >= 0 ? found : add_family(t, family);
  wr_series_unlock(a);
  if (number < 0) {
    wr_error_set(error, WR_ERROR_TOO_LARGE, "metric '%s': there are %d families already",
                 family->name, WR_SERIES_FAMILIES);
    return -1;
  }
  if (!is_same(&t->families[number].public, family)) {
    wr_error_set(error, WR_ERROR_INVALID, "metric '%s': exists with another type or other buckets",
                 family->name);
    return -1;
  }
  return number;
}

// Built-in families

// Seconds: OpenTelemetry's advice, and two bounds below it for a gateway.
static const double SECONDS_BOUNDS[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1,
                                        0.25,  0.5,    0.75,  1,    2.5,   5,    7.5,   10};
static const double BYTES_BOUNDS[] = {256, 1024, 4096, 16384, 65536, 262144, 1048576, 16777216};

enum metric_type { COUNTER, GAUGE, GAUGE_MAX, SECONDS, BYTES };

static struct wr_family built_in(const char *name, enum metric_type type, const char *help)
{
  struct wr_family f = {.is_max = type == GAUGE_MAX};
  f.type = type == COUNTER ? WR_SERIES_COUNTER : WR_SERIES_GAUGE;
  snprintf(f.name, sizeof(f.name), "%s", name);
  snprintf(f.help, sizeof(f.help), "%s", help);
  if (type < SECONDS) return f;
  f.type = WR_SERIES_HISTOGRAM;
  f.bucket_count = type == SECONDS ? WR_COUNT(SECONDS_BOUNDS) : WR_COUNT(BYTES_BOUNDS);
  f.is_fine = type == SECONDS;
  memcpy(f.buckets, type == SECONDS ? SECONDS_BOUNDS : BYTES_BOUNDS,
         f.bucket_count * sizeof(double));
  return f;
}

static const struct {
  const char *name;
  enum metric_type type;
  const char *help;
} BUILT_IN[] = {
#define WR_METRIC(ENUM, name, type, help) {name, type, help},
#include "tables/metrics.def"
#undef WR_METRIC
};

_Static_assert(WR_COUNT(BUILT_IN) == WR_METRICS, "the table and the enum have the same rows");
_Static_assert(WR_METRICS < WR_SERIES_FAMILIES / 2, "scripts have room for theirs");

void wr_series_init(struct wr_arena *a)
{
  struct wr_series_table *t = wr_series_table_of(a);
  struct layout l = plan(a->header->slot_count, a->header->series_max);
  char *base = (char *)t;
  wr_lock_init(&t->lock);
  t->series_max = a->header->series_max;
  t->text_max = l.text_max;
  t->cells_max = l.cells_max;
  t->bucket_count = bucket_count(t->series_max);
  t->buckets = (uint32_t *)(t + 1);
  t->series = (struct wr_series *)(base + l.series);
  t->text = base + l.text;
  t->cells = (_Atomic double *)(base + l.cells);
  for (uint32_t i = 0; i < t->bucket_count; i++) t->buckets[i] = NONE;
  for (size_t i = 0; i < WR_COUNT(BUILT_IN); i++) {
    struct wr_family f = built_in(BUILT_IN[i].name, BUILT_IN[i].type, BUILT_IN[i].help);
    WR_CHECK(family_fault(&f) == NULL && add_family(t, &f) == (int)i);
  }
  wr_series_get(a, WR_METRIC_SERIES_OVERFLOW, WR_STR(""));
  wr_series_get(a, WR_METRIC_REPAIRS, WR_STR(""));
}

// Series

#define OTHER "other"

// Copies labels with every value replaced by "other"; labels that do not fit any more are left out.
// Values are quoted, with backslash escapes inside.
static size_t other_labels(struct wr_str labels, char *out, size_t size)
{
  size_t len = 0;
  size_t at = 0;
  while (at < labels.len) {
    const char *equals = memchr(labels.ptr + at, '=', labels.len - at);
    if (equals == NULL) break;
    size_t head = (size_t)(equals - labels.ptr) + 1 - at;
    if (len + head + sizeof("\"" OTHER "\"") > size) break;
    memcpy(out + len, labels.ptr + at, head);
    memcpy(out + len + head, "\"" OTHER "\"", sizeof("\"" OTHER "\""));
    len += head + sizeof("\"" OTHER "\"") - 1;
    at += head + 1; // behind the opening quote
    while (at < labels.len && labels.ptr[at] != '"') at += labels.ptr[at] == '\\' ? 2 : 1;
    at++; // the closing quote; then the comma is the next label's first byte
  }
  return len;
}

static bool is_other(struct wr_str labels)
{
  char text[WR_SERIES_LABELS_MAX];
  size_t len = other_labels(labels, text, sizeof(text));
  return len > 0 && wr_str_eq(labels, (struct wr_str){text, len});
}

static uint32_t find_series(const struct wr_arena *a, uint32_t family, struct wr_str labels)
{
  const struct wr_series_table *t = wr_series_table_of(a);
  for (uint32_t i = *bucket_of(a, family, labels); i != NONE; i = t->series[i].hash_next) {
    if (t->series[i].family == family && wr_str_eq(labels_of(t, &t->series[i]), labels)) return i;
  }
  return NONE;
}

static uint32_t cells_of(const struct wr_family *f)
{
  if (f->type != WR_SERIES_HISTOGRAM) return 1;
  return f->bucket_count + 2 + (f->is_fine ? WR_SERIES_FINE : 0);
}

static uint32_t add_series(struct wr_arena *a, uint32_t family, struct wr_str labels)
{
  struct wr_series_table *t = wr_series_table_of(a);
  struct wr_series last = last_series(t);
  uint32_t number = atomic_load(&t->count);
  struct wr_series *s = &t->series[number];
  memcpy(t->text + last.text_end, labels.ptr, labels.len);
  *s = (struct wr_series){
      .family = family,
      .cell = last.cell_end,
      .cell_end = last.cell_end + cells_of(&t->families[family].public),
      .text_end = last.text_end + (uint32_t)labels.len,
      .labels_len = (uint32_t)labels.len,
      .next = NONE,
  };
  atomic_store_explicit(&t->count, number + 1, memory_order_release);
  link_series(a, number);
  return number;
}

// Each family's "other" has its room set apart, so this is true early enough for them.
static bool has_room(const struct wr_series_table *t, uint32_t family, struct wr_str labels)
{
  struct wr_series last = last_series(t);
  const struct wr_series_family *f = &t->families[family];
  uint32_t text_kept = WR_SERIES_FAMILIES * WR_SERIES_LABELS_MAX;
  uint32_t cells_kept = WR_SERIES_FAMILIES * CELLS_PER_OTHER;
  return labels.len <= WR_SERIES_LABELS_MAX && f->count < WR_SERIES_PER_FAMILY &&
         atomic_load(&t->count) < t->series_max &&
         last.text_end + labels.len <= t->text_max - text_kept &&
         last.cell_end + cells_of(&f->public) <= t->cells_max - cells_kept;
}

static uint32_t get_other(struct wr_arena *a, uint32_t family, struct wr_str labels)
{
  struct wr_series_family *f = &wr_series_table_of(a)->families[family];
  atomic_fetch_add(&wr_series_table_of(a)->overflows, 1);
  if (f->other != NONE) return f->other;
  char text[WR_SERIES_LABELS_MAX];
  struct wr_str other = {text, other_labels(labels, text, sizeof(text))};
  f->other = find_series(a, family, other);
  if (f->other == NONE) f->other = add_series(a, family, other);
  return f->other;
}

uint32_t wr_series_get(struct wr_arena *a, uint32_t family, struct wr_str labels)
{
  struct wr_series_table *t = wr_series_table_of(a);
  WR_CHECK(family < atomic_load(&t->family_count));
  wr_series_lock(a);
  uint32_t number = find_series(a, family, labels);
  if (number == NONE) {
    number =
        has_room(t, family, labels) ? add_series(a, family, labels) : get_other(a, family, labels);
  }
  wr_series_unlock(a);
  return number;
}
