#include "resilience/chaos.h"

#include "base/check.h"
#include "base/duration.h"
#include "base/rng.h"

#include <stdatomic.h>

enum { REQUESTS, FAILURES }; // columns

#define HOUR_NS (3600 * WR_SECOND)

static const char *const cause_names[] = {
#define WR_CHAOS_CAUSE(ENUM, name, meaning) name,
#include "tables/states.def"
};

const char *wr_chaos_cause_name(enum wr_chaos_cause cause)
{
  return cause < WR_CHAOS_CAUSES ? cause_names[cause] : "?";
}

void wr_chaos_config_init(struct wr_chaos_config *config)
{
  *config = (struct wr_chaos_config){.probability = 0.01,
                                     .expires_ns = 600 * WR_SECOND,
                                     .guard_rate = 0.5,
                                     .guard_window_ns = 30 * WR_SECOND,
                                     .guard_min_calls = 20};
}

static const char *check_windows(const struct wr_chaos_config *c)
{
  if (c->window_count > WR_CHAOS_WINDOWS_MAX) return "schedule must have at most 8 windows";
  for (uint32_t i = 0; i < c->window_count; i++) {
    if (c->windows[i].from_ns >= c->windows[i].to_ns) {
      return "each window of schedule must end after it begins";
    }
  }
  return NULL;
}

const char *wr_chaos_config_check(const struct wr_chaos_config *c)
{
  if (!(c->probability >= 0 && c->probability <= 1)) return "probability must be between 0 and 1";
  if (c->latency_ns > HOUR_NS) return "latency must be at most 1h";
  if (c->variance_ns > c->latency_ns) return "variance must be at most the latency";
  if (c->expires_ns < WR_SECOND || c->expires_ns > 24 * HOUR_NS) {
    return "expires must be 1s to 24h";
  }
  if (!(c->guard_rate >= 0 && c->guard_rate <= 1)) return "failure_rate must be between 0 and 1";
  if (c->guard_window_ns < WR_SECOND || c->guard_window_ns > HOUR_NS) {
    return "window must be 1s to 1h";
  }
  return check_windows(c);
}

void wr_chaos_init(struct wr_chaos *c, const struct wr_chaos_config *config)
{
  WR_CHECK(wr_chaos_config_check(config) == NULL);
  *c = (struct wr_chaos){.config = *config};
  wr_rolling_init(&c->rolling, config->guard_window_ns);
}

static uint64_t until_of(const struct wr_chaos *c)
{
  return atomic_load_explicit(&c->until_ns, memory_order_relaxed);
}

static void set_until(struct wr_chaos *c, uint64_t until_ns)
{
  atomic_store_explicit(&c->until_ns, until_ns, memory_order_relaxed);
}

static void change(struct wr_chaos *c, uint64_t until_ns, enum wr_chaos_cause cause)
{
  set_until(c, until_ns);
  c->cause = (uint8_t)cause;
  c->has_news = true;
}

void wr_chaos_reconfigure(struct wr_chaos *c, const struct wr_chaos_config *config, uint64_t now_ns)
{
  WR_CHECK(wr_chaos_config_check(config) == NULL);
  uint64_t last_ns = c->applied_ns + config->expires_ns;
  c->config = *config;
  wr_rolling_reshape(&c->rolling, now_ns, config->guard_window_ns);
  if (until_of(c) > last_ns) set_until(c, last_ns);
  if (!config->is_permitted && until_of(c) != 0) change(c, 0, WR_CHAOS_ROLLED_BACK);
}

bool wr_chaos_apply(struct wr_chaos *c, uint64_t for_ns, uint64_t now_ns, struct wr_error *error)
{
  if (!c->config.is_permitted) {
    wr_error_set(error, WR_ERROR_REFUSED,
                 "chaos is not allowed: weir was started without --allow-chaos");
    return false;
  }
  if (for_ns == 0) for_ns = c->config.expires_ns;
  if (for_ns > c->config.expires_ns) {
    wr_error_set(error, WR_ERROR_INVALID,
                 "%.0f s is too long: the experiment expires after %.0f s at most",
                 (double)for_ns / 1e9, (double)c->config.expires_ns / 1e9);
    return false;
  }
  wr_rolling_clear(&c->rolling);
  c->applied_ns = now_ns;
  change(c, now_ns + for_ns, WR_CHAOS_APPLIED);
  return true;
}

bool wr_chaos_rollback(struct wr_chaos *c, uint64_t now_ns)
{
  if (!wr_chaos_is_armed(c, now_ns)) return false;
  change(c, 0, WR_CHAOS_ROLLED_BACK);
  return true;
}

bool wr_chaos_is_armed(const struct wr_chaos *c, uint64_t now_ns)
{
  return now_ns < until_of(c);
}

static bool is_scheduled(const struct wr_chaos *c, uint64_t now_ns)
{
  uint64_t age_ns = now_ns > c->applied_ns ? now_ns - c->applied_ns : 0;
  for (uint32_t i = 0; i < c->config.window_count; i++) {
    const struct wr_chaos_window *w = &c->config.windows[i];
    if (age_ns >= w->from_ns && age_ns < w->to_ns) return true;
  }
  return c->config.window_count == 0;
}

bool wr_chaos_draw(struct wr_chaos *c, uint64_t hash, uint64_t now_ns, uint64_t *latency_ns)
{
  *latency_ns = 0;
  if (!wr_chaos_is_armed(c, now_ns) || !is_scheduled(c, now_ns)) return false;
  struct wr_rng rng;
  wr_rng_init(&rng, hash ^ c->config.seed);
  c->seen++;
  if (wr_rng_unit(&rng) >= c->config.probability) return false;
  double spread = (2 * wr_rng_unit(&rng) - 1) * (double)c->config.variance_ns;
  *latency_ns = (uint64_t)((double)c->config.latency_ns + spread);
  c->injected++;
  return true;
}

bool wr_chaos_note(struct wr_chaos *c, bool is_failure, uint64_t now_ns)
{
  if (!wr_chaos_is_armed(c, now_ns) || c->config.guard_rate == 0) return false;
  wr_rolling_add(&c->rolling, now_ns, REQUESTS, 1);
  if (is_failure) wr_rolling_add(&c->rolling, now_ns, FAILURES, 1);
  double requests = wr_rolling_sum(&c->rolling, now_ns, REQUESTS);
  double failures = wr_rolling_sum(&c->rolling, now_ns, FAILURES);
  if (requests < c->config.guard_min_calls) return false;
  if (failures / requests < c->config.guard_rate) return false;
  change(c, 0, WR_CHAOS_GUARD);
  return true;
}

void wr_chaos_advance(struct wr_chaos *c, uint64_t now_ns)
{
  if (until_of(c) != 0 && now_ns >= until_of(c)) change(c, 0, WR_CHAOS_EXPIRED);
}

uint64_t wr_chaos_next_ns(const struct wr_chaos *c)
{
  return until_of(c) != 0 ? until_of(c) : UINT64_MAX;
}

bool wr_chaos_take_event(struct wr_chaos *c, struct wr_chaos_event *out)
{
  if (!c->has_news) return false;
  *out = (struct wr_chaos_event){c->cause, c->seen, c->injected};
  c->has_news = false;
  return true;
}

void wr_chaos_repair(struct wr_chaos *c, uint64_t now_ns)
{
  if (wr_chaos_config_check(&c->config) != NULL) wr_chaos_config_init(&c->config);
  wr_rolling_repair(&c->rolling, now_ns, c->config.guard_window_ns);
  bool is_sane = c->applied_ns <= now_ns && until_of(c) <= c->applied_ns + c->config.expires_ns;
  if (c->cause >= WR_CHAOS_CAUSES) c->cause = WR_CHAOS_NEVER;
  if (!is_sane || !c->config.is_permitted) change(c, 0, WR_CHAOS_REPAIRED);
  if (c->applied_ns > now_ns) c->applied_ns = now_ns;
}
