#include "resilience/comparison.h"

#include "base/check.h"

#include <math.h>

#define LEVEL 1e-5

// Shares of all requests by which the canary must be worse for it to matter.
static const double margins[WR_COMPARISON_MEASURES] = {0.005, 0.01, 0.02, 0.05};

static double log_choose(double n, double k)
{
  return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1);
}

double wr_comparison_chance(uint64_t all, uint64_t all_bad, uint64_t requests, uint64_t bad)
{
  WR_CHECK(all_bad <= all && requests <= all);
  double n = (double)all;
  double k = (double)all_bad;
  double m = (double)requests;
  uint64_t most = all_bad < requests ? all_bad : requests;
  // Of so many requests some must be bad: there are not enough good ones.
  uint64_t least = all_bad + requests > all ? all_bad + requests - all : 0;
  if (bad <= least) return 1;
  double sum = 0;
  for (uint64_t x = bad; x <= most; x++) {
    double log_p = log_choose(k, (double)x) + log_choose(n - k, m - (double)x) - log_choose(n, m);
    double p = exp(log_p);
    sum += p;
    // Past the peak terms only shrink: the rest cannot matter any more.
    if (p < sum * 1e-9 && (double)x > m * k / n) break;
  }
  return sum < 1 ? sum : 1;
}

static double share(const struct wr_comparison_group *g, enum wr_comparison_measure measure)
{
  return (double)g->bad[measure] / (double)g->requests;
}

struct wr_comparison wr_comparison_judge(const struct wr_comparison_group *canary,
                                         const struct wr_comparison_group *baseline)
{
  if (canary->requests == 0 || baseline->requests == 0) return (struct wr_comparison){0};
  for (int i = 0; i < WR_COMPARISON_MEASURES; i++) {
    enum wr_comparison_measure measure = (enum wr_comparison_measure)i;
    struct wr_comparison c = {
        .measure = measure, .canary = share(canary, measure), .baseline = share(baseline, measure)};
    if (c.canary - c.baseline < margins[i]) continue;
    c.chance =
        wr_comparison_chance(canary->requests + baseline->requests,
                             canary->bad[i] + baseline->bad[i], canary->requests, canary->bad[i]);
    c.is_worse = c.chance < LEVEL;
    if (c.is_worse) return c;
  }
  return (struct wr_comparison){0};
}

const char *wr_comparison_measure_name(enum wr_comparison_measure measure)
{
  static const char *const names[] = {"raised an error", "failed", "were refused", "were slow"};
  WR_CHECK(measure < WR_COMPARISON_MEASURES);
  return names[measure];
}
