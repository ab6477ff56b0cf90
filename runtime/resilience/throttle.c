#include "resilience/throttle.h"

#include "base/archive.h"
#include "base/check.h"
#include "base/duration.h"

#include <stddef.h>

enum { REQUESTS, ACCEPTS }; // columns

void wr_throttle_config_init(struct wr_throttle_config *config)
{
  *config = (struct wr_throttle_config){
      .ratio = 2, .max_refused = 0.9, .min_calls = 10, .window_ns = 120 * WR_SECOND};
}

const char *wr_throttle_config_check(const struct wr_throttle_config *c)
{
  if (!(c->ratio >= 1 && c->ratio <= 100)) return "ratio must be between 1 and 100";
  if (!(c->max_refused >= 0 && c->max_refused <= 0.99)) {
    return "max_refused must be between 0 and 0.99";
  }
  if (c->min_calls > 1000000) return "min_calls must be 0 to 1000000";
  if (c->window_ns < WR_SECOND || c->window_ns > 3600 * WR_SECOND) {
    return "window must be 1s to 1h";
  }
  return NULL;
}

void wr_throttle_init(struct wr_throttle *t, const struct wr_throttle_config *config, uint64_t seed)
{
  WR_CHECK(wr_throttle_config_check(config) == NULL);
  *t = (struct wr_throttle){.config = *config};
  wr_rng_init(&t->rng, seed);
  wr_rolling_init(&t->rolling, config->window_ns);
}

void wr_throttle_reconfigure(struct wr_throttle *t, const struct wr_throttle_config *config,
                             uint64_t now_ns)
{
  WR_CHECK(wr_throttle_config_check(config) == NULL);
  t->config = *config;
  wr_rolling_reshape(&t->rolling, now_ns, config->window_ns);
}

double wr_throttle_probability(struct wr_throttle *t, uint64_t now_ns)
{
  double requests = wr_rolling_sum(&t->rolling, now_ns, REQUESTS);
  double accepts = wr_rolling_sum(&t->rolling, now_ns, ACCEPTS);
  if (requests < t->config.min_calls) return 0;
  double p = (requests - t->config.ratio * accepts) / (requests + 1);
  if (p > t->config.max_refused) return t->config.max_refused;
  return p > 0 ? p : 0;
}

bool wr_throttle_try(struct wr_throttle *t, uint64_t now_ns)
{
  double p = wr_throttle_probability(t, now_ns);
  bool refuses = p > 0 && wr_rng_unit(&t->rng) < p;
  if (refuses && !t->config.shadow) {
    t->counters.refused++;
    wr_rolling_add(&t->rolling, now_ns, REQUESTS, 1);
    return false;
  }
  t->counters.shadow_refused += refuses;
  t->counters.admitted++;
  return true;
}

void wr_throttle_settle(struct wr_throttle *t, enum wr_outcome outcome, uint64_t now_ns)
{
  if (outcome != WR_OUTCOME_SUCCESS && outcome != WR_OUTCOME_FAILURE) return;
  bool is_accepted = outcome == WR_OUTCOME_SUCCESS;
  wr_rolling_add(&t->rolling, now_ns, REQUESTS, 1);
  if (is_accepted) wr_rolling_add(&t->rolling, now_ns, ACCEPTS, 1);
  t->counters.accepted += is_accepted;
  t->counters.rejected += !is_accepted;
}

void wr_throttle_repair(struct wr_throttle *t, uint64_t now_ns)
{
  if (wr_throttle_config_check(&t->config) != NULL) wr_throttle_config_init(&t->config);
  wr_rolling_repair(&t->rolling, now_ns, t->config.window_ns);
  // A generator of zeros gives zeros for ever, and would refuse every call.
  if ((t->rng.s[0] | t->rng.s[1] | t->rng.s[2] | t->rng.s[3]) == 0) wr_rng_init(&t->rng, now_ns);
}

void wr_throttle_archive(struct wr_throttle *t, struct wr_archive *a)
{
  struct wr_throttle_counters *c = &t->counters;
  wr_archive_u64(a, "admitted", &c->admitted);
  wr_archive_u64(a, "refused", &c->refused);
  wr_archive_u64(a, "shadow_refused", &c->shadow_refused);
  wr_archive_u64(a, "accepted", &c->accepted);
  wr_archive_u64(a, "rejected", &c->rejected);
  wr_rolling_archive(&t->rolling, a, "window");
}
