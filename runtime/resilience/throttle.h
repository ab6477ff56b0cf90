#pragma once
/// Client-side throttle: when an upstream accepts fewer and fewer of our calls, stop making most of
/// them before they are sent, and go on trying with the rest.
///
/// A call is refused with probability max(0, (requests - K * accepts) / (requests + 1)) over the
/// last window, requests including those refused here ("Handling Overload", Site Reliability
/// Engineering, ch. 21; research/resilience.md §2.6). So with K = 2 an upstream gets at most about
/// twice what it accepts. A breaker is all or nothing; this follows the upstream's capacity. Pure,
/// in one struct that may live in shared memory; the caller holds its lock around each call.

#include "base/rng.h"
#include "resilience/rolling.h"
#include "resilience/ticket.h"

struct wr_throttle_config {
  double ratio;       ///< K: calls made per call accepted, 1 to 100
  double max_refused; ///< never refuses a larger share than this, 0 to 0.99: some always try
  uint32_t min_calls; ///< in the window; below, nothing is refused
  uint8_t shadow;     ///< admits everything, counts what it would have refused
  uint64_t window_ns; ///< 1 s to 1 h
};

struct wr_throttle_counters {
  uint64_t admitted;
  uint64_t refused;
  uint64_t shadow_refused; ///< admitted in shadow mode, would have been refused
  uint64_t accepted;       ///< executed, and taken by the upstream
  uint64_t rejected;       ///< executed, and failed by the upstream
};

struct wr_throttle {
  struct wr_throttle_config config;     // read-only: change it by wr_throttle_reconfigure
  struct wr_throttle_counters counters; ///< read-only
  struct wr_rolling rolling;            // private
  struct wr_rng rng;                    // private
};

/// K 2, at most 0.9 refused, from 10 calls in a window of 2 minutes.
void wr_throttle_config_init(struct wr_throttle_config *config);

/// NULL, or which bound is broken.
const char *wr_throttle_config_check(const struct wr_throttle_config *config);

/// Begins without calls. The configuration must pass its check; `seed` is of its draws.
void wr_throttle_init(struct wr_throttle *t, const struct wr_throttle_config *config,
                      uint64_t seed);

/// Applies another configuration; what was counted stays, as far as it fits the window.
void wr_throttle_reconfigure(struct wr_throttle *t, const struct wr_throttle_config *config,
                             uint64_t now_ns);

/// Whether the call may be made. True: settle it with `wr_throttle_settle`.
bool wr_throttle_try(struct wr_throttle *t, uint64_t now_ns);

/// What became of an admitted call. Success is an accepted request and failure one that was not;
/// ignored and cancelled ones tell nothing and are not counted.
void wr_throttle_settle(struct wr_throttle *t, enum wr_outcome outcome, uint64_t now_ns);

/// The probability with which a call is refused now, 0 to max_refused.
double wr_throttle_probability(struct wr_throttle *t, uint64_t now_ns);

/// Makes it valid whatever its bytes are, after a lock holder died.
void wr_throttle_repair(struct wr_throttle *t, uint64_t now_ns);

/// Writes it to an archive, or reads it from there; call `wr_throttle_repair` after reading.
void wr_throttle_archive(struct wr_throttle *t, struct wr_archive *a);
