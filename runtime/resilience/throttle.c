#include "resilience/throttle.h"

#include "base/check.h"
#include "base/duration.h"
#include "resilience/deadline.h"

#include <math.h>

enum { REQUESTS, ACCEPTS };

void wr_throttle_config_init(struct wr_throttle_config *config)
{
  *config = (struct wr_throttle_config){
      .ratio = 2, .window_ns = 120 * WR_SECOND, .probe_ns = WR_SECOND, .min_calls = 10};
}

const char *wr_throttle_config_check(const struct wr_throttle_config *c)
{
  if (!(c->ratio >= 1 && c->ratio <= 100)) return "ratio must be 1 to 100";
  if (c->window_ns < WR_SECOND || c->window_ns > 3600 * WR_SECOND) {
    return "window must be 1s to 1h";
  }
  if (c->probe_ns < WR_MS || c->probe_ns > WR_DURATION_MAX) return "probe must be 1ms or more";
  return NULL;
}

void wr_throttle_init(struct wr_throttle *t, const struct wr_throttle_config *config,
                      uint64_t now_ns)
{
  WR_CHECK(wr_throttle_config_check(config) == NULL);
  *t = (struct wr_throttle){.config = *config, .passed_ns = now_ns};
  wr_rolling_init(&t->calls, config->window_ns);
}

void wr_throttle_reconfigure(struct wr_throttle *t, const struct wr_throttle_config *config,
                             uint64_t now_ns)
{
  WR_CHECK(wr_throttle_config_check(config) == NULL);
  t->config = *config;
  wr_rolling_reshape(&t->calls, now_ns, config->window_ns);
}

double wr_throttle_probability(uint64_t requests, uint64_t accepts, double ratio)
{
  double excess = (double)requests - ratio * (double)accepts;
  return fmax(0, excess / ((double)requests + 1));
}

double wr_throttle_share(struct wr_throttle *t, uint64_t now_ns)
{
  uint32_t requests = wr_rolling_sum(&t->calls, now_ns, REQUESTS);
  if (requests < t->config.min_calls) return 0;
  uint32_t accepts = wr_rolling_sum(&t->calls, now_ns, ACCEPTS);
  return wr_throttle_probability(requests, accepts, t->config.ratio);
}

static bool would_refuse(struct wr_throttle *t, uint64_t now_ns)
{
  double share = wr_throttle_share(t, now_ns);
  if (share == 0) {
    t->credit = 0;
    return false;
  }
  t->credit += share;
  if (t->credit < 1) return false;
  t->credit -= 1;
  return wr_deadline_left(now_ns, t->passed_ns) < t->config.probe_ns;
}

bool wr_throttle_try(struct wr_throttle *t, uint64_t now_ns, uint64_t *after_ns)
{
  bool refuses = would_refuse(t, now_ns);
  if (refuses && !t->config.shadow) {
    wr_rolling_add(&t->calls, now_ns, REQUESTS, 1);
    t->counters.refused++;
    *after_ns = wr_deadline_left(wr_deadline_in(t->passed_ns, t->config.probe_ns), now_ns);
    return false;
  }
  t->counters.shadow_refused += refuses;
  t->counters.admitted++;
  if (now_ns > t->passed_ns) t->passed_ns = now_ns;
  return true;
}

void wr_throttle_settle(struct wr_throttle *t, bool is_accepted, uint64_t now_ns)
{
  wr_rolling_add(&t->calls, now_ns, REQUESTS, 1);
  if (is_accepted) wr_rolling_add(&t->calls, now_ns, ACCEPTS, 1);
  t->counters.accepted += is_accepted;
  t->counters.rejected += !is_accepted;
}

void wr_throttle_repair(struct wr_throttle *t, uint64_t now_ns)
{
  if (wr_throttle_config_check(&t->config) != NULL) wr_throttle_config_init(&t->config);
  if (!(t->credit >= 0 && t->credit <= 1)) t->credit = 0;
  if (t->passed_ns > now_ns) t->passed_ns = now_ns;
  wr_rolling_repair(&t->calls, now_ns, t->config.window_ns);
}
