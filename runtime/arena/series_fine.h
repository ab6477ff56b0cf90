#pragma once
/// The fine buckets of histograms in seconds: exponential ones of base 2^(1/8), as OpenTelemetry's
/// exponential histograms of scale 3 have them, from 7.6 us to 128 s. A quantile read from them is
/// at most 9 % off (the width of a bucket). Pure.

#include <stdint.h>

enum {
  WR_SERIES_FINE_SCALE = 3,    ///< buckets per doubling are 2^scale
  WR_SERIES_FINE_LOWEST = -17, ///< the first bucket takes all up to 2^this seconds
  WR_SERIES_FINE_OCTAVES = 24, ///< doublings above that
  /// and one more bucket below and above
  WR_SERIES_FINE = (WR_SERIES_FINE_OCTAVES << WR_SERIES_FINE_SCALE) + 2,
};

/// The bucket of a value, 0 to WR_SERIES_FINE - 1.
uint32_t wr_series_fine_of(double value);

/// The upper bound of a bucket that is not the last.
double wr_series_fine_bound(uint32_t bucket);

/// The `q` quantile (0 to 1) of `counts[WR_SERIES_FINE]`; NAN when nothing was counted.
double wr_series_fine_quantile(const uint32_t *counts, double q);
