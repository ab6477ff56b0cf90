#pragma once
/// Quantiles of a stream of durations, over the last span of time: five log-linear histograms that
/// take turns, the oldest fifth forgotten at a time.
///
/// Some durations are only known to be longer than what was seen of them: calls that were cancelled
/// or that failed. They are counted as censored, and the quantile is that of the product-limit
/// estimator (Kaplan and Meier 1958), in which a censored call says nothing about what comes after
/// its end. Counted as complete they would pull a delay that is derived from the quantile down, by
/// the very hedges that it causes; left out they would do the same, because it is the slow calls
/// that get cancelled.
///
/// A bucket is a sixteenth of a power of two wide, so a quantile is at most 1/16 too long and never
/// too short. Monotonic time; a `now_ns` before the newest turn counts into the newest.

#include <stdbool.h>
#include <stdint.h>

enum {
  WR_QUANTILE_TURNS = 5,
  WR_QUANTILE_OCTAVES = 28,
  WR_QUANTILE_BUCKETS = 16 * (WR_QUANTILE_OCTAVES + 1),
};

struct wr_quantile_turn {
  uint32_t events, censored;           // private: sums of the two below
  uint32_t ended[WR_QUANTILE_BUCKETS]; // private: calls that ended after so long
  uint32_t cut[WR_QUANTILE_BUCKETS];   // private: calls that were cut short after so long
};

struct wr_quantile {
  uint64_t width_ns; // private: of a turn, at least 1
  uint64_t turn;     // private: number of the newest since the clock's zero
  struct wr_quantile_turn turns[WR_QUANTILE_TURNS]; // private
};

/// Starts empty. `span_ns` is at least 5.
void wr_quantile_init(struct wr_quantile *q, uint64_t span_ns);

/// One call took `duration_ns`, or at least that long (`is_censored`). Longer than 73 min counts as
/// 73 min.
void wr_quantile_add(struct wr_quantile *q, uint64_t now_ns, uint64_t duration_ns,
                     bool is_censored);

/// Calls of the span that ended by themselves.
uint64_t wr_quantile_events(struct wr_quantile *q, uint64_t now_ns);

/// The duration that a share `p` (0 to 1) of the calls stays below; when fewer than that ended, the
/// longest that was seen. 0 without any.
uint64_t wr_quantile_at(struct wr_quantile *q, uint64_t now_ns, double p);

/// Changes the span. Samples stay, as far as the new span reaches; the oldest of a turn may live
/// longer by one of its widths.
void wr_quantile_reshape(struct wr_quantile *q, uint64_t now_ns, uint64_t span_ns);

/// Makes it valid whatever its bytes are.
void wr_quantile_repair(struct wr_quantile *q, uint64_t now_ns, uint64_t span_ns);
