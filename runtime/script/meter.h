#pragma once
/// Metric series by family and labels, looked up once and remembered. One per worker; one loop's
/// own. All callers of a family name the same labels in the same order.

#include "arena/series.h"
#include "base/map.h"

enum {
  WR_METER_RECENT = 64,     ///< series found without a search, when their values are short
  WR_METER_RECENT_KEY = 88, ///< bytes of family and values for which that is tried
};

/// The series that one family and these values had the last time. Private to meter.c.
struct wr_meter_recent {
  uint32_t series;
  uint32_t len; // of `key`; 0 when there is none yet
  char key[WR_METER_RECENT_KEY];
};

struct wr_meter {
  struct wr_arena *arena;
  uint32_t shard;
  struct wr_map known;                            // private: "family|labels" -> series + 1
  struct wr_meter_recent recent[WR_METER_RECENT]; // private: in front of `known`, by a plain hash
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
