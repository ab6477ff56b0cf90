#pragma once
/// One step of each adaptive concurrency limit: what the last window of calls makes of the limit.
///
/// Pure functions without memory; the caller keeps limit and baseline and cuts the result to its
/// bounds. Formulae and golden vectors: research/resilience.md §2.5, after Netflix's
/// concurrency-limits. All rules leave the limit alone while less than half of it is used: traffic
/// that does not need a limit says nothing about it.

#include <stdbool.h>

/// What was seen in a window. Latencies in any unit, the same for all.
struct wr_adaptive_seen {
  double latency;  ///< mean of the calls that succeeded, over 0
  double baseline; ///< vegas: the best mean seen; gradient2: the long-term mean; over 0
  double inflight; ///< most calls at once
  bool failed;     ///< too many of them failed
};

/// Additive increase, multiplicative decrease: one more, or nine tenths.
double wr_adaptive_rules_aimd(double limit, const struct wr_adaptive_seen *seen);

/// Estimates the upstream's queue from the best latency, and keeps it between 3 and 6 times the
/// decimal logarithm of the limit.
double wr_adaptive_rules_vegas(double limit, const struct wr_adaptive_seen *seen);

/// Follows the ratio of the baseline, with half as much tolerated, to the latency, by a fifth of
/// the way; adds room for a queue of 4.
double wr_adaptive_rules_gradient2(double limit, const struct wr_adaptive_seen *seen);

/// The step by which vegas and the guard move a limit: its decimal logarithm, at least 1.
double wr_adaptive_rules_step(double limit);
