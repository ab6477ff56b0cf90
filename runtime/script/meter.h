#pragma once
/// Metric series by family and labels, looked up once and remembered. One per worker; one loop's
/// own.

#include "arena/series.h"
#include "base/map.h"

struct wr_meter {
  struct wr_arena *arena;
  uint32_t shard;
  struct wr_map known; // private: "family|labels" -> series + 1
};

/// Remembers nothing yet; writes to column `shard`. `key` should be random.
void wr_meter_init(struct wr_meter *m, struct wr_arena *a, uint32_t shard, struct wr_hash_key key);

/// Forgets the lookups; the series stay.
void wr_meter_fini(struct wr_meter *m);

/// The series of `family` with labels given as pairs of name and value, ended by NULL. Values are
/// escaped as the text format wants it.
__attribute__((sentinel)) uint32_t wr_meter_series(struct wr_meter *m, uint32_t family, ...);

/// Adds to a counter or gauge series, observes a histogram one; labels as for wr_meter_series.
__attribute__((sentinel)) void wr_meter_add(struct wr_meter *m, uint32_t family, double value, ...);
__attribute__((sentinel)) void wr_meter_observe(struct wr_meter *m, uint32_t family, double value,
                                                ...);
