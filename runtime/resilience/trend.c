#include "resilience/trend.h"

#include "base/check.h"

#include <math.h>
#include <string.h>

void wr_trend_add(struct wr_trend *t, struct wr_trend_window window)
{
  t->windows[t->count % WR_TREND_WINDOWS] = window;
  t->count++;
  // Full stays full when the count begins anew.
  if (t->count == 2 * WR_TREND_WINDOWS) t->count = WR_TREND_WINDOWS;
}

static uint32_t kept(const struct wr_trend *t)
{
  return t->count < WR_TREND_WINDOWS ? t->count : WR_TREND_WINDOWS;
}

struct sums {
  double x, y, xx, yy, xy;
};

static void add(struct sums *s, double x, double y)
{
  s->x += x;
  s->y += y;
  s->xx += x * x;
  s->yy += y * y;
  s->xy += x * y;
}

// Pearson's; 0 when one of the two never moved.
static double correlation(const struct sums *s, double n)
{
  double x = n * s->xx - s->x * s->x;
  double y = n * s->yy - s->y * s->y;
  if (x <= 1e-9 * n * s->xx || y <= 1e-9 * n * s->yy) return 0;
  return (n * s->xy - s->x * s->y) / sqrt(x * y);
}

bool wr_trend_is_saturated(const struct wr_trend *t)
{
  uint32_t count = kept(t);
  if (count < WR_TREND_LEAST) return false;
  struct sums results = {0};
  struct sums latency = {0};
  for (uint32_t i = 0; i < count; i++) {
    const struct wr_trend_window *w = &t->windows[i];
    add(&results, (double)w->inflight, (double)w->throughput);
    add(&latency, (double)w->inflight, (double)w->latency);
  }
  double n = count;
  double gain = correlation(&results, n);
  double mean = results.y / n;
  double spread = sqrt(fmax(0, results.yy / n - mean * mean));
  bool is_flat = gain < 0.3 || spread < 0.2 * mean;
  return gain < 0 || (is_flat && correlation(&latency, n) > 0.5);
}

static bool is_sane(float value)
{
  return value >= 0 && value < 1e30F;
}

void wr_trend_repair(struct wr_trend *t)
{
  bool is_valid = t->count < 2 * WR_TREND_WINDOWS;
  for (uint32_t i = 0; is_valid && i < kept(t); i++) {
    const struct wr_trend_window *w = &t->windows[i];
    is_valid = is_sane(w->inflight) && is_sane(w->throughput) && is_sane(w->latency);
  }
  if (!is_valid) memset(t, 0, sizeof(*t));
}
