// The numbers: one writer per column, readers that merge the columns.

#include "arena/series_table.h"
#include "base/check.h"

#include <math.h>
#include <stdatomic.h>

#define NONE WR_SERIES_NONE

// Values

static _Atomic double *cell_of(const struct wr_arena *a, uint32_t shard, uint32_t series)
{
  const struct wr_series_table *t = wr_series_table_of(a);
  WR_CHECK(series < atomic_load_explicit(&t->count, memory_order_relaxed));
  WR_CHECK(shard < a->header->slot_count);
  return &t->cells[(size_t)shard * t->cells_max + t->series[series].cell];
}

// One writer: a load and a store, no locked instruction.
static void add(_Atomic double *cell, double value)
{
  double sum = atomic_load_explicit(cell, memory_order_relaxed) + value;
  atomic_store_explicit(cell, sum, memory_order_relaxed);
}

static const struct wr_family *family_of(const struct wr_arena *a, uint32_t series)
{
  const struct wr_series_table *t = wr_series_table_of(a);
  return &t->families[t->series[series].family].public;
}

void wr_series_add(struct wr_arena *a, uint32_t shard, uint32_t series, double value)
{
  add(cell_of(a, shard, series), value);
}

void wr_series_set(struct wr_arena *a, uint32_t shard, uint32_t series, double value)
{
  atomic_store_explicit(cell_of(a, shard, series), value, memory_order_relaxed);
}

static uint32_t bucket_of(const struct wr_family *f, double value)
{
  uint32_t bucket = 0;
  while (bucket < f->bucket_count && value > f->buckets[bucket]) bucket++;
  return bucket;
}

uint32_t wr_series_bucket(const struct wr_arena *a, uint32_t series, double value)
{
  return bucket_of(family_of(a, series), value);
}

void wr_series_observe(struct wr_arena *a, uint32_t shard, uint32_t series, double value)
{
  _Atomic double *cell = cell_of(a, shard, series);
  const struct wr_family *f = family_of(a, series);
  WR_CHECK(f->type == WR_SERIES_HISTOGRAM);
  add(&cell[bucket_of(f, value)], 1);
  add(&cell[f->bucket_count + 1], value);
  if (f->is_fine) add(&cell[f->bucket_count + 2 + wr_series_fine_of(value)], 1);
}

void wr_series_forget(struct wr_arena *a, uint32_t shard)
{
  uint32_t count = atomic_load(&wr_series_table_of(a)->count);
  for (uint32_t i = 0; i < count; i++) {
    if (family_of(a, i)->type == WR_SERIES_GAUGE) wr_series_set(a, shard, i, 0);
  }
}

// Reading

static double load(const struct wr_arena *a, uint32_t shard, uint32_t series, uint32_t cell)
{
  return atomic_load_explicit(cell_of(a, shard, series) + cell, memory_order_relaxed);
}

bool wr_series_next(const struct wr_arena *a, struct wr_series_view *view)
{
  const struct wr_series_table *t = wr_series_table_of(a);
  uint32_t family = view->family ? view->family_number : 0;
  const _Atomic uint32_t *link =
      view->family ? &t->series[view->series].next : &t->families[0].first;
  uint32_t number = atomic_load_explicit(link, memory_order_acquire);
  uint32_t family_count = atomic_load_explicit(&t->family_count, memory_order_acquire);
  while (number == NONE && ++family < family_count) {
    number = atomic_load_explicit(&t->families[family].first, memory_order_acquire);
  }
  if (number == NONE) return false;
  const struct wr_series *s = &t->series[number];
  *view = (struct wr_series_view){
      .family = &t->families[family].public,
      .labels = {t->text + s->text_end - s->labels_len, s->labels_len},
      .family_number = family,
      .series = number,
  };
  return true;
}

double wr_series_value(const struct wr_arena *a, uint32_t series)
{
  const struct wr_family *f = family_of(a, series);
  double merged = 0;
  for (uint32_t shard = 0; shard < a->header->slot_count; shard++) {
    double value = load(a, shard, series, 0);
    merged = f->is_max ? fmax(merged, value) : merged + value;
  }
  // What the arena counts by itself is in no shard.
  switch (wr_series_table_of(a)->series[series].family) {
  case WR_METRIC_SERIES_OVERFLOW: return (double)wr_series_overflows(a);
  case WR_METRIC_REPAIRS: return (double)atomic_load(&a->header->repairs);
  default: return merged;
  }
}

void wr_series_read(const struct wr_arena *a, uint32_t series, struct wr_series_histogram *out)
{
  const struct wr_family *f = family_of(a, series);
  WR_CHECK(f->type == WR_SERIES_HISTOGRAM);
  *out = (struct wr_series_histogram){0};
  for (uint32_t shard = 0; shard < a->header->slot_count; shard++) {
    uint64_t running = 0;
    for (uint32_t i = 0; i <= f->bucket_count; i++) {
      running += (uint64_t)load(a, shard, series, i);
      out->cumulative[i] += running;
    }
    out->sum += load(a, shard, series, f->bucket_count + 1);
    for (uint32_t i = 0; f->is_fine && i < WR_SERIES_FINE; i++) {
      out->fine[i] += (uint32_t)(uint64_t)load(a, shard, series, f->bucket_count + 2 + i);
    }
  }
  out->count = out->cumulative[f->bucket_count];
}

uint64_t wr_series_overflows(const struct wr_arena *a)
{
  return atomic_load(&wr_series_table_of(a)->overflows);
}
