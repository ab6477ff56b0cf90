#pragma once
/// What a breaker is told: its thresholds and times, their defaults and bounds.

#include <stdbool.h>
#include <stdint.h>

enum wr_breaker_mode {
#define WR_BREAKER_MODE(ENUM, name, meaning) WR_BREAKER_MODE_##ENUM,
#include "tables/states.def"
  WR_BREAKER_MODES
};

/// Thresholds. Rates are 0..1; a rule with threshold 0 is off, and any rule may trip.
/// Bounds are checked by `wr_breaker_config_check`.
struct wr_breaker_config {
  uint8_t mode;          ///< enum wr_breaker_mode
  uint8_t window_kind;   ///< enum wr_window_kind
  uint64_t window_size;  ///< calls, or nanoseconds
  uint32_t min_calls;    ///< the rates mean nothing below this many calls in the window
  uint32_t consecutive;  ///< trips after this many failures in a row; 0: off
  double failure_rate;   ///< trips at or above; 0: off
  double slow_rate;      ///< trips at or above; 0: off
  uint64_t slow_call_ns; ///< a call this long is slow; 0: none is
  uint64_t open_ns;      ///< first open time; doubles when it trips again too soon, see `trips`
  uint64_t open_max_ns;  ///< bound of the doubling, before the jitter
  double open_jitter;    ///< the open time varies by this share, up and down
  uint32_t probes;       ///< half-open: verdicts that decide, and most probes at once
  uint64_t attempt_timeout_ns; ///< of the calls behind the breaker: sizes the two below
  uint64_t probe_lease_ns;     ///< a probe without a result for this long failed; 0: 2 x attempt
  uint64_t half_open_ns;       ///< half-open ends after this long; 0: max(2 x attempt, 10 s)
  uint64_t ramp_ns;            ///< after a recovery the admitted share grows for this long; 0: off
  double ramp_from;            ///< the share it grows from
  uint64_t health; ///< who calls `wr_breaker_hold`: a reference of the layer above; 0: nobody
};

/// The defaults of DESIGN §5: rate 0.5 of at least 20 calls in 10 s, open 5 s to 60 s, 3 probes.
void wr_breaker_config_init(struct wr_breaker_config *config);

/// NULL, or which bound is broken ("failure_rate must be between 0 and 1").
const char *wr_breaker_config_check(const struct wr_breaker_config *config);

/// How long a probe may run, and how long half-open may last: as configured, or derived.
uint64_t wr_breaker_config_lease(const struct wr_breaker_config *config);
uint64_t wr_breaker_config_half_open(const struct wr_breaker_config *config);

/// `min_calls`, or the size of a window that cannot hold so many.
uint32_t wr_breaker_config_min_calls(const struct wr_breaker_config *config);
