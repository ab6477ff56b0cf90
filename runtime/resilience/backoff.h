#pragma once
/// The pause before the n-th retry: exponential, capped, then jittered (research/resilience.md
/// §2.3).
///
/// The cap is applied before the jitter, so clients that reached it stay spread out; no delay
/// exceeds it. The arithmetic saturates: any attempt number is fine.

#include "base/rng.h"

#include <stdint.h>

enum wr_backoff_jitter {
  WR_BACKOFF_NONE,         ///< exactly the exponential
  WR_BACKOFF_FULL,         ///< uniform from 0 to it
  WR_BACKOFF_EQUAL,        ///< its half, plus uniform up to the other half
  WR_BACKOFF_DECORRELATED, ///< uniform from base to three times the previous delay (AWS)
  WR_BACKOFF_RATIO,        ///< it, give or take `ratio`
  WR_BACKOFF_SMOOTH,       ///< Polly's decorrelated V2: monotone median, no bunching; factor is 2
};

struct wr_backoff_config {
  uint64_t base_ns;
  uint64_t cap_ns; ///< at least base_ns
  double factor;   ///< 1 or more
  double ratio;    ///< for WR_BACKOFF_RATIO, 0 to 1
  uint8_t jitter;  ///< enum wr_backoff_jitter
};

/// Where one call is in its sequence. Zeroed memory is the beginning.
struct wr_backoff {
  uint32_t attempt; ///< read-only: delays given so far
  double previous;  // private: previous delay (decorrelated) or curve value (smooth)
};

/// 50 ms, x2, cap 1 s, full jitter.
void wr_backoff_config_init(struct wr_backoff_config *config);

/// NULL, or which bound is broken.
const char *wr_backoff_config_check(const struct wr_backoff_config *config);

/// The next delay in nanoseconds.
uint64_t wr_backoff_next(const struct wr_backoff_config *config, struct wr_backoff *at,
                         struct wr_rng *rng);

/// The same with the random draw given, `u` in [0, 1).
uint64_t wr_backoff_next_at(const struct wr_backoff_config *config, struct wr_backoff *at,
                            double u);
