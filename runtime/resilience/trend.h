#pragma once
/// What the last windows of calls say about more calls at once: do they still bring more results?
///
/// A ring of (calls in flight, results per second, latency) whose correlations tell an upstream
/// that is saturated from one that has room, whatever its latency has become: the guard of
/// failsafe-go's limiter (research/resilience.md §2.5). Pure, in one struct.

#include <stdbool.h>
#include <stdint.h>

enum { WR_TREND_WINDOWS = 20, WR_TREND_LEAST = 8 };

struct wr_trend_window {
  float inflight;
  float throughput; ///< good results per second
  float latency;
};

struct wr_trend {
  uint32_t count; // private: windows so far, the last WR_TREND_WINDOWS of which are kept
  struct wr_trend_window windows[WR_TREND_WINDOWS]; // private
};

/// Puts a window down, in place of the oldest.
void wr_trend_add(struct wr_trend *t, struct wr_trend_window window);

/// Whether more in flight only makes calls wait: results fall as calls in flight rise, or stay
/// where they are (correlation below 0.3, or spread under a fifth) while latency rises (correlation
/// over 0.5). False below WR_TREND_LEAST windows, and for what never moved.
bool wr_trend_is_saturated(const struct wr_trend *t);

/// Makes any bytes valid: numbers that are none, or below zero, make it forget.
void wr_trend_repair(struct wr_trend *t);
