#pragma once
/// Durations as people write them: "250ms", "3s", "1.5m", and nanoseconds as code keeps them.

#include "base/str.h"

#include <stdint.h>

#define WR_MS UINT64_C(1000000)
#define WR_SECOND UINT64_C(1000000000)

/// Longest duration accepted anywhere: ten years.
#define WR_DURATION_MAX (UINT64_C(315360000) * WR_SECOND)

enum { WR_DURATION_TEXT = 24 };

/// Parses a number with a unit (ns us ms s m h d). False when it is not one, negative, or past
/// `WR_DURATION_MAX`; `*ns` is then untouched.
bool wr_duration_parse(struct wr_str text, uint64_t *ns);

/// Seconds as a number; same bounds as `wr_duration_parse`.
bool wr_duration_seconds(double seconds, uint64_t *ns);

/// The shortest exact-enough text ("1.5s", "250ms") into `out`, which is returned.
const char *wr_duration_text(uint64_t ns, char out[WR_DURATION_TEXT]);

/// As lines and pages say a time: seconds cut to milliseconds, and milliseconds cut to
/// microseconds.
static inline double wr_duration_s(uint64_t ns)
{
  uint64_t ms = ns / WR_MS;
  return (double)ms / 1e3;
}

static inline double wr_duration_ms(uint64_t ns)
{
  uint64_t us = ns / 1000;
  return (double)us / 1e3;
}
