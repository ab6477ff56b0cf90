#include "resilience/hedge.h"

#include "base/check.h"
#include "base/duration.h"

enum { REFRESHES = 20 }; // look-ups of the percentile in a window: a scan of all buckets each

static const char *const names[WR_HEDGE_ENDS] = {
#define WR_HEDGE_END(ENUM, name, meaning) [WR_HEDGE_##ENUM] = name,
#include "tables/states.def"
};

const char *wr_hedge_end_name(enum wr_hedge_end end)
{
  WR_CHECK(end < WR_HEDGE_ENDS);
  return names[end];
}

void wr_hedge_config_init(struct wr_hedge_config *config)
{
  *config = (struct wr_hedge_config){.max_extra_load = 0.05,
                                     .min_delay_ns = WR_MS,
                                     .window_ns = 30 * WR_SECOND,
                                     .min_calls = 20,
                                     .max = 1};
}

const char *wr_hedge_config_check(const struct wr_hedge_config *c)
{
  if (!(c->percentile >= 0 && c->percentile < 1)) return "percentile must be between 0 and 1";
  if (!(c->max_extra_load >= 0 && c->max_extra_load <= 1)) {
    return "max_extra_load must be between 0 and 1";
  }
  if (c->delay_ns > WR_DURATION_MAX) return "delay must be at most 10 years";
  if (c->delay_ns > 0 && c->percentile > 0) return "give delay or percentile, not both";
  if (c->delay_ns == 0 && c->percentile == 0 && c->max_extra_load == 0) {
    return "give delay, percentile or max_extra_load";
  }
  if (c->min_delay_ns > WR_DURATION_MAX) return "min_delay must be at most 10 years";
  if (c->window_ns < WR_SECOND || c->window_ns > 3600 * WR_SECOND) return "window must be 1s to 1h";
  if (c->min_calls < 1 || c->min_calls > 1000000) return "min_calls must be 1 to 1000000";
  if (c->max < 1 || c->max > WR_HEDGE_MAX) return "max must be 1 to 10";
  return NULL;
}

// Without a bound the budget only counts: no call has more hedges than it grants.
static struct wr_budget_config load_config(const struct wr_hedge_config *config)
{
  double ratio = config->max_extra_load > 0 ? config->max_extra_load : WR_HEDGE_MAX;
  return (struct wr_budget_config){.ratio = ratio, .span_ns = config->window_ns};
}

void wr_hedge_init(struct wr_hedge *h, const struct wr_hedge_config *config)
{
  WR_CHECK(wr_hedge_config_check(config) == NULL);
  struct wr_budget_config load = load_config(config);
  h->config = *config;
  h->counters = (struct wr_hedge_counters){0};
  h->learned_ns = WR_HEDGE_NEVER;
  h->refresh_ns = 0;
  wr_budget_init(&h->load, &load);
  wr_quantile_init(&h->latency, config->window_ns);
}

void wr_hedge_reconfigure(struct wr_hedge *h, const struct wr_hedge_config *config, uint64_t now_ns)
{
  WR_CHECK(wr_hedge_config_check(config) == NULL);
  struct wr_budget_config load = load_config(config);
  h->config = *config;
  h->learned_ns = WR_HEDGE_NEVER;
  h->refresh_ns = 0;
  wr_budget_reconfigure(&h->load, &load, now_ns);
  wr_quantile_reshape(&h->latency, now_ns, config->window_ns);
}

// The delay

static void learn(struct wr_hedge *h, uint64_t now_ns)
{
  const struct wr_hedge_config *c = &h->config;
  // Too few calls: looked at again at each, so that the first delay comes with the first right.
  h->learned_ns = WR_HEDGE_NEVER;
  if (wr_quantile_events(&h->latency, now_ns) < c->min_calls) return;
  double p = c->percentile > 0 ? c->percentile : 1 - c->max_extra_load;
  uint64_t delay_ns = wr_quantile_at(&h->latency, now_ns, p);
  h->learned_ns = delay_ns > c->min_delay_ns ? delay_ns : c->min_delay_ns;
  h->refresh_ns = now_ns + c->window_ns / REFRESHES;
}

uint64_t wr_hedge_delay(struct wr_hedge *h, uint64_t now_ns)
{
  if (h->config.delay_ns > 0) return h->config.delay_ns;
  if (h->learned_ns == WR_HEDGE_NEVER || now_ns >= h->refresh_ns) learn(h, now_ns);
  return h->learned_ns;
}

uint64_t wr_hedge_begin(struct wr_hedge *h, uint64_t now_ns)
{
  h->counters.calls++;
  wr_budget_deposit(&h->load, now_ns);
  return wr_hedge_delay(h, now_ns);
}

// What it costs

bool wr_hedge_pay(struct wr_hedge *h, bool is_slow, uint64_t now_ns)
{
  if (!wr_budget_withdraw(&h->load, now_ns)) {
    h->counters.denied++;
    return false;
  }
  if (is_slow) {
    h->counters.slow++;
  } else {
    h->counters.failed++;
  }
  return true;
}

void wr_hedge_end(struct wr_hedge *h, enum wr_hedge_end end, uint64_t took_ns, uint64_t now_ns)
{
  WR_CHECK(end < WR_HEDGE_ENDS);
  h->counters.ends[end]++;
  // The percentile of a fixed delay is nobody's business.
  if (h->config.delay_ns > 0) return;
  wr_quantile_add(&h->latency, now_ns, took_ns, end != WR_HEDGE_PRIMARY);
}

double wr_hedge_load(struct wr_hedge *h, uint64_t now_ns)
{
  return wr_budget_share(&h->load, now_ns);
}

void wr_hedge_repair(struct wr_hedge *h, uint64_t now_ns)
{
  if (wr_hedge_config_check(&h->config) != NULL) wr_hedge_config_init(&h->config);
  struct wr_budget_config load = load_config(&h->config);
  h->load.config = load;
  wr_budget_repair(&h->load, now_ns);
  wr_quantile_repair(&h->latency, now_ns, h->config.window_ns);
  h->learned_ns = WR_HEDGE_NEVER;
  h->refresh_ns = 0;
}
