#pragma once
/// Whether one of two groups of requests fares worse than the other by more than chance: what
/// decides on a canary.
///
/// One-sided exact test of two proportions (R. A. Fisher, Statistical Methods for Research Workers,
/// 1934, §21.02): the probability that chance alone puts as many of the bad requests, or more, on
/// the canary's side. It is asked again and again while numbers grow, so the level is low: 1e-5.
/// Beside being sure, a difference must matter. Pure: reads no clock.

#include <stdbool.h>
#include <stdint.h>

/// What is compared.
enum wr_comparison_measure {
  WR_COMPARISON_RAISED,  ///< scripts raised
  WR_COMPARISON_FAILED,  ///< status of 500 or above, or a response that broke off
  WR_COMPARISON_REFUSED, ///< primitives refused
  WR_COMPARISON_SLOW,    ///< slower than 19 of 20 requests of the baseline
  WR_COMPARISON_MEASURES
};

/// One group.
struct wr_comparison_group {
  uint64_t requests;
  uint64_t bad[WR_COMPARISON_MEASURES]; ///< of them
};

struct wr_comparison {
  bool is_worse;
  enum wr_comparison_measure measure; ///< the first that is
  double canary, baseline;            ///< shares of bad requests by that measure, 0..1
  double chance;                      ///< probability that it means nothing
};

/// Compares. Groups without requests are alike.
struct wr_comparison wr_comparison_judge(const struct wr_comparison_group *canary,
                                         const struct wr_comparison_group *baseline);

/// The probability that of `requests` drawn from `all`, of which `all_bad` are bad, at least `bad`
/// are bad (hypergeometric tail). `requests` and `all_bad` at most `all`.
double wr_comparison_chance(uint64_t all, uint64_t all_bad, uint64_t requests, uint64_t bad);

/// What a measure says of a request: "raised an error".
const char *wr_comparison_measure_name(enum wr_comparison_measure measure);
