#pragma once
/// Outlier ejection: which members of a pool do so much worse than the others that they get no
/// calls for a while.
///
/// Three judges: failures in a row, the failure rate of a window against that of the others, and
/// the 90th percentile of the latency against the median of the others'. An ejection lasts the base
/// time, twice that the next time, and so on to a maximum; each base time without one takes one
/// step back. At most a share of the members is out at once, and never the last that is usable.
/// Only calls that were executed count: local refusals and cancelled calls are not reported, and
/// what began before a member came back says nothing about it now. Pure; may live in shared
/// memory; the caller holds the lock. resilience/README.md says why it is as it is.

#include "base/rng.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wr_outlier_cause {
#define WR_OUTLIER_CAUSE(ENUM, name, meaning) WR_OUTLIER_##ENUM,
#include "tables/states.def"
  WR_OUTLIER_CAUSES
};

enum {
  /// Quarters of an octave, from 131 µs to 7.5 s; the last has all that is longer.
  WR_OUTLIER_BUCKETS = 64,
  WR_OUTLIER_EVENTS = 32,
  WR_OUTLIER_POOL_MIN = 3, ///< members with enough calls, before latencies are compared
};

#define WR_OUTLIER_LATENCY_MIN_NS (UINT64_C(10) * 1000000) ///< above the median, to be slow

struct wr_outlier_config {
  uint64_t window_ns;    ///< of the two rates
  uint64_t base_ns;      ///< the first ejection
  uint64_t max_ns;       ///< the longest
  double jitter;         ///< an ejection is up to this share shorter
  double max_share;      ///< of the members out at once; of two or more members one may always be
  double failure_rate;   ///< 0: not judged
  double latency;        ///< times the median of the members'; 0: not judged
  uint32_t slow_windows; ///< in a row, until it is out
  uint32_t consecutive;  ///< failures in a row; 0: not judged
  uint32_t min_calls;    ///< of a member in a window, for its rate and its latency
};

/// What one observer saw since it last told: successes, and then failures.
struct wr_outlier_batch {
  uint32_t successes, failures;
  uint16_t latencies[WR_OUTLIER_BUCKETS]; ///< of the successes
};

/// One member. Zeroed memory is a place that nobody has.
struct wr_outlier_row {
  bool is_used;         ///< read-only
  bool is_ejected;      ///< read-only
  bool is_unhealthy;    ///< read-only: somebody else says that it may not be used
  uint8_t cause;        ///< read-only: of the last ejection
  uint32_t level;       // private: ejections that count for the length of the next
  uint32_t consecutive; ///< read-only
  uint32_t slow;        // private: slow windows in a row
  uint32_t ejections;   ///< read-only: since it joined
  uint64_t since_ns; ///< read-only: when it was ejected or came back; calls begun before are void
  uint64_t until_ns; ///< read-only: end of the ejection
  struct wr_outlier_batch window; // private
};

/// A member was ejected or came back.
struct wr_outlier_event {
  uint64_t at_ns;
  uint64_t for_ns; ///< ejected: so long
  uint32_t row;
  uint8_t cause;
  bool is_ejected;
  uint32_t consecutive, calls, failures; ///< what decided: of the window, or in a row
  uint64_t p90_ns, median_ns;            ///< cause latency
};

struct wr_outlier {
  struct wr_outlier_config config;   ///< read-only
  struct wr_rng rng;                 // private
  uint64_t window_end_ns;            // private: 0 while nothing was reported
  uint32_t capacity;                 ///< read-only: rows
  uint32_t count;                    ///< read-only: members
  uint32_t ejected;                  ///< read-only: of them
  uint32_t usable;                   ///< read-only: neither ejected nor unhealthy
  uint64_t total[WR_OUTLIER_CAUSES]; ///< read-only: ejections since birth, by cause
  uint64_t spared;                   ///< read-only: ejections that the share forbade
  uint32_t event_first, event_count; // private
  struct wr_outlier_event events[WR_OUTLIER_EVENTS]; // private
  struct wr_outlier_row rows[];                      ///< read-only
};

/// 5 in a row, rates over 10 s and 50 calls: half of them failures; latency not judged (3 windows);
/// 30 s to 300 s, a tenth of jitter, half of the members.
void wr_outlier_config_init(struct wr_outlier_config *config);

/// NULL, or which bound is broken.
const char *wr_outlier_config_check(const struct wr_outlier_config *config);

/// Bytes of a pool with so many rows.
size_t wr_outlier_bytes(uint32_t capacity);

/// Nobody is in it.
void wr_outlier_init(struct wr_outlier *o, const struct wr_outlier_config *config,
                     uint32_t capacity, uint64_t seed);

/// Makes `to`, freshly initialised, what `from` is, of those rows that it has.
void wr_outlier_move(struct wr_outlier *to, const struct wr_outlier *from);

/// Gives the row `row` of `from`, which has no place in `to`, the row `at` of it.
void wr_outlier_move_row(struct wr_outlier *to, uint32_t at, const struct wr_outlier *from,
                         uint32_t row);

/// Whether something is remembered of a member that others would have to find out again.
bool wr_outlier_is_known(const struct wr_outlier *o, uint32_t row);

/// Applies another configuration. Who is out stays out for as long as it was told, and the window
/// that runs ends within the new one's length; when nothing is judged any more, all come back.
void wr_outlier_reconfigure(struct wr_outlier *o, const struct wr_outlier_config *config,
                            uint64_t now_ns);

/// A member takes the free row `row`, with a clean record; one leaves.
void wr_outlier_join(struct wr_outlier *o, uint32_t row, uint64_t now_ns);
void wr_outlier_part(struct wr_outlier *o, uint32_t row);

/// Somebody else's verdict of a member.
void wr_outlier_mark(struct wr_outlier *o, uint32_t row, bool is_unhealthy);

/// Counts what an observer saw of a member; nothing of one that is out. True when that ejected it.
bool wr_outlier_add(struct wr_outlier *o, uint32_t row, const struct wr_outlier_batch *batch,
                    uint64_t now_ns);

/// An active check says that an ejected member is well: it comes back at once. True when it was
/// out.
bool wr_outlier_absolve(struct wr_outlier *o, uint32_t row, uint64_t now_ns);

/// Ends what is over: windows, which are judged, and ejections. True when a member's state changed.
bool wr_outlier_advance(struct wr_outlier *o, uint64_t now_ns);

/// When to advance next; UINT64_MAX: when something was reported.
uint64_t wr_outlier_next(const struct wr_outlier *o);

/// The oldest event that nobody was told of; the oldest are lost beyond WR_OUTLIER_EVENTS.
bool wr_outlier_take_event(struct wr_outlier *o, struct wr_outlier_event *out);

/// Makes it valid whatever its bytes are, with `capacity` rows; `is_used` of rows counts.
void wr_outlier_repair(struct wr_outlier *o, uint32_t capacity, uint64_t now_ns);

/// The bucket of a latency, and the upper end of a bucket.
uint32_t wr_outlier_bucket(uint64_t latency_ns);
uint64_t wr_outlier_bucket_ns(uint32_t bucket);

/// Adds one call to a batch.
void wr_outlier_batch_success(struct wr_outlier_batch *batch, uint64_t latency_ns);

/// "consecutive", …
const char *wr_outlier_cause_name(enum wr_outlier_cause cause);
