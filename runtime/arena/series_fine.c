#include "arena/series_fine.h"

#include <math.h>

enum { PER_OCTAVE = 1 << WR_SERIES_FINE_SCALE };

#define LOWEST (1.0 / (1 << -WR_SERIES_FINE_LOWEST))
#define HIGHEST ((double)(1 << (WR_SERIES_FINE_OCTAVES + WR_SERIES_FINE_LOWEST)))

// 2^(k/8) / 2 for k = 1 to 8: where the buckets of a mantissa in [0.5, 1) end.
static const double bounds[PER_OCTAVE] = {
    0.5452538663326288, 0.5946035575013605, 0.6484197773255048, 0.7071067811865476,
    0.7711054127039704, 0.8408964152537145, 0.9170040432046712, 1.0};

uint32_t wr_series_fine_of(double value)
{
  int exponent;
  int part = 0;
  if (value > HIGHEST) return WR_SERIES_FINE - 1;
  if (!(value > LOWEST)) return 0;
  double mantissa = frexp(value, &exponent); // value is in [2^(exponent-1), 2^exponent)
  int octave = exponent - 1 - WR_SERIES_FINE_LOWEST;
  if (mantissa == 0.5) return (uint32_t)(octave * PER_OCTAVE); // the bound of the bucket before
  while (mantissa > bounds[part]) part++;
  return (uint32_t)(octave * PER_OCTAVE + part + 1);
}

double wr_series_fine_bound(uint32_t bucket)
{
  return exp2((double)bucket / PER_OCTAVE + WR_SERIES_FINE_LOWEST);
}

// Inside a bucket values are taken to lie evenly on its logarithmic scale; in the first and the
// last one nothing is known but the bound.
static double inside(uint32_t bucket, double share)
{
  if (bucket == 0) return wr_series_fine_bound(0);
  if (bucket == WR_SERIES_FINE - 1) return wr_series_fine_bound(WR_SERIES_FINE - 2);
  return wr_series_fine_bound(bucket - 1) * exp2(share / PER_OCTAVE);
}

double wr_series_fine_quantile(const uint32_t *counts, double q)
{
  double total = 0;
  for (uint32_t i = 0; i < WR_SERIES_FINE; i++) total += counts[i];
  if (total == 0) return NAN;
  double rank = q * total;
  uint32_t bucket = 0;
  while (bucket < WR_SERIES_FINE - 1 && rank > counts[bucket]) rank -= counts[bucket++];
  return inside(bucket, counts[bucket] > 0 ? rank / counts[bucket] : 0);
}
