#pragma once
/// Metrics in the arena: families, their series, and one column of values per worker slot.
///
/// Each slot's process alone writes its column, without locks or read-modify-write instructions;
/// reading sums the columns. Columns survive their process: counters never go back. Families of
/// `tables/metrics.def` exist from the start and have their enum as number; scripts add their own.
/// Labels come rendered: `route="x",status="2xx"`. Looking a series up takes a lock; callers keep
/// the number. Limits: series_max of the arena, WR_SERIES_FAMILIES, WR_SERIES_PER_FAMILY; beyond,
/// a series whose label values are all "other" takes what comes, and a counter ticks.

#include "arena/arena.h"
#include "arena/series_fine.h"

enum {
  WR_SERIES_MAX = 1 << 20,
  WR_SERIES_FAMILIES = 512,
  WR_SERIES_PER_FAMILY = 1000,
  WR_SERIES_BUCKETS = 24,
  WR_SERIES_NAME_MAX = 127,
  WR_SERIES_HELP_MAX = 191,
  WR_SERIES_LABELS_MAX = 1024,
};

enum wr_series_type { WR_SERIES_COUNTER, WR_SERIES_GAUGE, WR_SERIES_HISTOGRAM };

#define WR_SERIES_NONE UINT32_MAX ///< no series

/// The built-in families.
enum wr_metric {
#define WR_METRIC(ENUM, name, type, help) WR_METRIC_##ENUM,
#include "tables/metrics.def"
#undef WR_METRIC
  WR_METRICS
};

/// What a family is.
struct wr_family {
  char name[WR_SERIES_NAME_MAX + 1]; ///< [a-zA-Z_:][a-zA-Z0-9_:]*
  char help[WR_SERIES_HELP_MAX + 1];
  uint8_t type;          ///< enum wr_series_type
  bool is_max;           ///< gauges: merged by maximum (at least 0), not by sum
  bool is_fine;          ///< histograms of seconds: has fine buckets beside, for quantiles
  uint32_t bucket_count; ///< histograms: upper bounds, ascending, without +Inf
  double buckets[WR_SERIES_BUCKETS];
};

/// One series, as told to a reader.
struct wr_series_view {
  const struct wr_family *family; ///< of the arena, for ever
  struct wr_str labels;           ///< of the arena, for ever
  uint32_t family_number;
  uint32_t series;
};

/// A histogram, merged.
struct wr_series_histogram {
  uint64_t count;
  double sum;
  uint64_t cumulative[WR_SERIES_BUCKETS + 1]; ///< per bound, then +Inf
  uint32_t fine[WR_SERIES_FINE];              ///< not cumulative, modulo 2^32; 0 where it has none
};

/// Number of the family like `*family`, created when its name is new; -1 with a set error when the
/// name is invalid or exists as another type or with other buckets, or the limit is reached.
int wr_series_family(struct wr_arena *a, const struct wr_family *family, struct wr_error *error);

/// Number of the series of `family` with these labels, created when new. Never fails: at a limit it
/// is the family's "other". Fill label values from bounded sets all the same.
uint32_t wr_series_get(struct wr_arena *a, uint32_t family, struct wr_str labels);

/// Adds to a counter or a gauge. `shard` is the caller's own slot, here and below.
void wr_series_add(struct wr_arena *a, uint32_t shard, uint32_t series, double value);

/// Sets this shard's part of a gauge.
void wr_series_set(struct wr_arena *a, uint32_t shard, uint32_t series, double value);

/// The classic bucket of a histogram that takes the value; the last one is +Inf.
uint32_t wr_series_bucket(const struct wr_arena *a, uint32_t series, double value);

/// Puts a value into a histogram.
void wr_series_observe(struct wr_arena *a, uint32_t shard, uint32_t series, double value);

/// Sets the shard's part of every gauge to 0: its process is gone. Master only.
void wr_series_forget(struct wr_arena *a, uint32_t shard);

/// Walks all series, family by family in order of creation: start with a zeroed view. False at the
/// end. Families without series are left out.
bool wr_series_next(const struct wr_arena *a, struct wr_series_view *view);

/// Merged value of a counter or gauge.
double wr_series_value(const struct wr_arena *a, uint32_t series);

/// Merged histogram.
void wr_series_read(const struct wr_arena *a, uint32_t series, struct wr_series_histogram *out);

/// Lookups that ended in "other" because a limit was reached.
uint64_t wr_series_overflows(const struct wr_arena *a);

/// Bytes of the section. For wr_arena_open.
size_t wr_series_size(uint32_t slot_count, uint32_t series_max);

/// Makes the table with the built-in families. For wr_arena_open.
void wr_series_init(struct wr_arena *a);

/// The part of the section that was ever used, without the values. For wr_arena_privatise.
size_t wr_series_used(const struct wr_arena *a);

/// Take and give the table's lock, repairing it first when its holder died.
void wr_series_lock(struct wr_arena *a);
void wr_series_unlock(struct wr_arena *a);
