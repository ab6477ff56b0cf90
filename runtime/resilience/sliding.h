#pragma once
/// Sliding window: the calls of the last window, counted in eighths of it.
///
/// A call counts for a window and at most an eighth more. So no window, wherever it begins, sees
/// more than the limit, and a steady stream gets at least 8/9 of it. (Two weighted buckets, the
/// usual way, let up to twice the limit through.) Of limits only; zeroed memory is an empty one.

#include <stdint.h>

enum { WR_SLIDING_PARTS = 8 };

struct wr_sliding {
  uint32_t part;                         // number of the newest eighth that was counted in
  uint32_t counts[WR_SLIDING_PARTS + 1]; // ring: eighth n is at n % 9
};

/// The length of an eighth of a window, rounded up. At least a second's: an eighth's number has 32
/// bits, enough for 17 years of uptime.
uint64_t wr_sliding_part_ns(uint64_t window_ns);

/// Calls that count now.
uint64_t wr_sliding_used(const struct wr_sliding *s, uint64_t part_ns, uint64_t now_ns);

/// The time at which a call of `cost` may pass, not before now; UINT64_MAX when `cost` > `limit`.
uint64_t wr_sliding_when(const struct wr_sliding *s, uint64_t part_ns, uint64_t limit,
                         uint64_t cost, uint64_t now_ns);

/// Counts a call of `cost`, whether or not it might pass. A step back of the clock is no step.
void wr_sliding_spend(struct wr_sliding *s, uint64_t part_ns, uint32_t cost, uint64_t now_ns);

/// The time at which everything counted so far will count no more.
uint64_t wr_sliding_reset(const struct wr_sliding *s, uint64_t part_ns, uint64_t now_ns);

/// The same calls in a window of another length: none counts for a shorter time than it should.
void wr_sliding_rescale(struct wr_sliding *s, uint64_t from_part_ns, uint64_t to_part_ns,
                        uint64_t now_ns);

/// Takes the larger of the two counts everywhere: what is owed by either is owed.
void wr_sliding_merge(struct wr_sliding *s, const struct wr_sliding *other, uint64_t part_ns,
                      uint64_t now_ns);

/// Makes arbitrary bytes valid.
void wr_sliding_repair(struct wr_sliding *s, uint64_t part_ns, uint64_t now_ns);
