#include "resilience/backoff.h"

#include "base/duration.h"

#include <math.h>
#include <stddef.h>

// From Polly's V2 formula: brings the median of the first delay to about the base.
static const double SMOOTH_SCALE = 1 / 1.4;

// Past this the smooth curve exceeds any cap, and its differences lose their meaning.
static const double SMOOTH_MAX = 128;

void wr_backoff_config_init(struct wr_backoff_config *config)
{
  *config = (struct wr_backoff_config){
      .base_ns = 50 * WR_MS,
      .cap_ns = WR_SECOND,
      .factor = 2,
      .ratio = 0.5,
      .jitter = WR_BACKOFF_FULL,
  };
}

const char *wr_backoff_config_check(const struct wr_backoff_config *c)
{
  if (c->cap_ns > WR_DURATION_MAX) return "the longest backoff must be at most 10 years";
  if (c->base_ns > c->cap_ns) return "the first backoff must not exceed the longest";
  if (!(c->factor >= 1 && c->factor <= 1000)) return "factor must be between 1 and 1000";
  if (!(c->ratio >= 0 && c->ratio <= 1)) return "ratio must be between 0 and 1";
  if (c->jitter > WR_BACKOFF_SMOOTH) return "jitter is unknown";
  return NULL;
}

static double exponential(const struct wr_backoff_config *c, uint32_t attempt, double cap)
{
  // pow overflows to infinity, which the cap takes care of.
  return fmin(cap, (double)c->base_ns * pow(c->factor, attempt));
}

static double decorrelated(const struct wr_backoff_config *c, struct wr_backoff *at, double u)
{
  double base = (double)c->base_ns;
  double previous = at->attempt == 0 ? base : at->previous;
  double most = fmax(base, fmin((double)c->cap_ns, previous * 3));
  at->previous = base + u * (most - base);
  return at->previous;
}

static double smooth(const struct wr_backoff_config *c, struct wr_backoff *at, double u)
{
  double cap = (double)c->cap_ns;
  double delay = INFINITY;
  double t = at->attempt + u;
  if (t < SMOOTH_MAX) {
    double value = exp2(t) * tanh(sqrt(4 * t));
    delay = (double)c->base_ns * (value - at->previous) * SMOOTH_SCALE;
    at->previous = value;
  }
  // The formula has its jitter inside, so cutting it would bunch: past the cap, spread over its
  // half.
  return delay <= cap ? delay : cap / 2 * (1 + u);
}

static double draw(const struct wr_backoff_config *c, struct wr_backoff *at, double u)
{
  double cap = (double)c->cap_ns;
  switch (c->jitter) {
  case WR_BACKOFF_FULL: return u * exponential(c, at->attempt, cap);
  case WR_BACKOFF_EQUAL: return (1 + u) / 2 * exponential(c, at->attempt, cap);
  case WR_BACKOFF_DECORRELATED: return decorrelated(c, at, u);
  case WR_BACKOFF_RATIO: {
    // Centred low enough that the upper end is the cap.
    double centre = exponential(c, at->attempt, cap / (1 + c->ratio));
    return centre * (1 + c->ratio * (2 * u - 1));
  }
  case WR_BACKOFF_SMOOTH: return smooth(c, at, u);
  default: return exponential(c, at->attempt, cap);
  }
}

uint64_t wr_backoff_next_at(const struct wr_backoff_config *config, struct wr_backoff *at, double u)
{
  if (config->base_ns == 0) return 0;
  double delay = fmin(draw(config, at, u), (double)config->cap_ns);
  if (at->attempt < UINT32_MAX) at->attempt++;
  return delay > 0 ? (uint64_t)(delay + 0.5) : 0;
}

uint64_t wr_backoff_next(const struct wr_backoff_config *config, struct wr_backoff *at,
                         struct wr_rng *rng)
{
  return wr_backoff_next_at(config, at, wr_rng_unit(rng));
}
