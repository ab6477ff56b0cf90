#pragma once
/// The layout of the series section, shared by series.c (names) and series_values.c (numbers).

#include "arena/lock.h"
#include "arena/series.h"

struct wr_series_family {
  struct wr_family public;
  _Atomic uint32_t first; // series, or NONE
  uint32_t last;
  uint32_t count;
  uint32_t other;
};

// Written once, then published by the table's count: the fields never change again, but for `next`.
struct wr_series {
  uint32_t family;
  uint32_t cell; // first cell in each shard's column
  uint32_t cell_end;
  uint32_t text_end; // labels end here in the table's text
  uint32_t labels_len;
  uint32_t hash_next;    // private to the lock
  _Atomic uint32_t next; // in the family
};

struct wr_series_table {
  struct wr_lock lock;
  _Atomic uint32_t family_count;
  _Atomic uint32_t count;
  uint32_t series_max; // without the "other" of each family
  uint32_t cells_max;
  uint32_t text_max;
  uint32_t bucket_count;
  _Atomic uint64_t overflows;
  uint32_t *buckets;
  struct wr_series *series;
  char *text;
  _Atomic double *cells; // [slot][cells_max]
  struct wr_series_family families[WR_SERIES_FAMILIES];
};

static inline struct wr_series_table *wr_series_table_of(const struct wr_arena *a)
{
  return a->header->series;
}
