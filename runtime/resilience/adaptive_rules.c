#include "resilience/adaptive_rules.h"

#include <math.h>

#define AIMD_BACKOFF 0.9
#define GRADIENT_TOLERANCE 1.5
#define GRADIENT_SMOOTHING 0.2
#define GRADIENT_QUEUE 4

double wr_adaptive_rules_step(double limit)
{
  return fmax(1, floor(log10(limit)));
}

double wr_adaptive_rules_aimd(double limit, const struct wr_adaptive_seen *seen)
{
  if (seen->failed) return floor(limit * AIMD_BACKOFF);
  return seen->inflight * 2 >= limit ? limit + 1 : limit;
}

double wr_adaptive_rules_vegas(double limit, const struct wr_adaptive_seen *seen)
{
  double step = wr_adaptive_rules_step(limit);
  if (seen->failed) return limit - step;
  if (seen->inflight * 2 < limit) return limit;
  double queue = ceil(limit * (1 - seen->baseline / seen->latency));
  if (queue <= step) return limit + 6 * step;
  if (queue < 3 * step) return limit + step;
  return queue > 6 * step ? limit - step : limit;
}

double wr_adaptive_rules_gradient2(double limit, const struct wr_adaptive_seen *seen)
{
  if (seen->inflight < limit / 2) return limit;
  double gradient = GRADIENT_TOLERANCE * seen->baseline / seen->latency;
  gradient = fmax(0.5, fmin(1, gradient));
  double wanted = limit * gradient + GRADIENT_QUEUE;
  return limit * (1 - GRADIENT_SMOOTHING) + wanted * GRADIENT_SMOOTHING;
}
