#pragma once
/// Counters over the last span of time, kept in ten slots: the oldest tenth is forgotten at a time.
///
/// Monotonic time. The workers' clocks are cached per loop turn and differ by a little: a `now_ns`
/// before the newest slot counts into the newest slot, and nothing ever rewinds.
/// Sums cover between nine and ten tenths of the span.

#include <stdint.h>

struct wr_archive;

enum { WR_ROLLING_SLOTS = 10, WR_ROLLING_COLUMNS = 3 };

struct wr_rolling {
  uint64_t width_ns;                // private: of a slot, at least 1
  uint64_t turn;                    // private: number of the newest slot since the clock's zero
  uint64_t end_ns;                  // private: of the newest slot; derived, it spares a division
  uint32_t newest;                  // private: its place; derived, too
  uint32_t sum[WR_ROLLING_COLUMNS]; // private: derived from the slots
  uint32_t slot[WR_ROLLING_SLOTS][WR_ROLLING_COLUMNS]; // private
};

/// Starts empty. `span_ns` is at least 10.
void wr_rolling_init(struct wr_rolling *r, uint64_t span_ns);

/// Forgets everything.
void wr_rolling_clear(struct wr_rolling *r);

/// Adds `n` to a column. Counts stop at UINT32_MAX.
void wr_rolling_add(struct wr_rolling *r, uint64_t now_ns, int column, uint32_t n);

/// The column's sum over the span that ends now.
uint32_t wr_rolling_sum(struct wr_rolling *r, uint64_t now_ns, int column);

/// Changes the span; a slot that is still inside the new one keeps its counts.
void wr_rolling_reshape(struct wr_rolling *r, uint64_t now_ns, uint64_t span_ns);

/// Makes it valid again whatever its bytes are: what lies in the future is moved to now, sums are
/// recomputed. A zero width becomes `span_ns` / 10.
void wr_rolling_repair(struct wr_rolling *r, uint64_t now_ns, uint64_t span_ns);

/// Writes it to an archive, or reads it from there; call `wr_rolling_repair` after reading.
void wr_rolling_archive(struct wr_rolling *r, struct wr_archive *a, const char *key);
