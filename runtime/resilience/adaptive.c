#include "resilience/adaptive.h"

#include "base/archive.h"
#include "base/check.h"
#include "base/duration.h"
#include "resilience/adaptive_rules.h"
#include "resilience/deadline.h"

#include <math.h>
#include <string.h>

enum { LONG_WINDOWS = 600, LONG_WARM_UP = 10, PROBE_TIMES = 30, FAILED_SHARE = 10 };

#define LATENCY_MIN_NS 100000
#define UNHEALTHY_BACKOFF 0.9

void wr_adaptive_config_init(struct wr_adaptive_config *config)
{
  memset(config, 0, sizeof(*config)); // padding too: configurations are compared as bytes
  config->rule = WR_ADAPTIVE_FIXED;
  config->min = 1;
  config->max = 1000;
  config->initial = 256;
  config->samples = 10;
  config->window_ns = WR_SECOND;
  config->max_healthy_ns = 5 * WR_SECOND;
}

const char *wr_adaptive_config_check(const struct wr_adaptive_config *c)
{
  if (c->rule >= WR_ADAPTIVE_RULES) return "limit must be fixed, aimd, vegas or gradient2";
  if (c->max < 1 || c->max > WR_ADAPTIVE_MAX) return "max must be 1 to 1000000";
  if (c->min < 1 || c->min > c->max) return "min must be 1 to max";
  if (c->initial < c->min || c->initial > c->max) return "initial must be min to max";
  if (c->samples < 1) return "samples must be at least 1";
  if (c->window_ns < WR_MS || c->window_ns > WR_DURATION_MAX) return "window must be 1ms or more";
  if (c->max_healthy_ns > WR_DURATION_MAX) return "max_healthy_latency must be at most 10 years";
  return NULL;
}

static void draw_probe(struct wr_adaptive *a)
{
  double jitter = 0.5 + wr_rng_unit(&a->rng) / 2;
  a->probe_at = (uint32_t)(jitter * PROBE_TIMES * a->limit) + 1;
  a->windows = 0;
}

static void clear_window(struct wr_adaptive *a)
{
  a->sum_ns = 0;
  a->good = 0;
  a->failed = 0;
  a->inflight = 0;
}

static void bound(struct wr_adaptive *a, const struct wr_adaptive_config *config, double limit)
{
  a->limit = fmin(config->max, fmax(config->min, limit));
}

void wr_adaptive_init(struct wr_adaptive *a, const struct wr_adaptive_config *config, uint64_t seed)
{
  WR_CHECK(wr_adaptive_config_check(config) == NULL);
  memset(a, 0, sizeof(*a));
  wr_rng_init(&a->rng, seed);
  a->limit = config->initial;
  draw_probe(a);
}

void wr_adaptive_reconfigure(struct wr_adaptive *a, const struct wr_adaptive_config *from,
                             const struct wr_adaptive_config *to)
{
  WR_CHECK(wr_adaptive_config_check(to) == NULL);
  bool was_learnt = from->rule != WR_ADAPTIVE_FIXED && to->rule != WR_ADAPTIVE_FIXED;
  double limit = a->limit;
  if (from->rule != to->rule || !was_learnt) wr_adaptive_init(a, to, wr_rng_next(&a->rng));
  if (was_learnt) bound(a, to, limit);
}

uint32_t wr_adaptive_limit(const struct wr_adaptive *a)
{
  return (uint32_t)a->limit;
}

// --- the end of a window ------------------------------------------------------------------------

// A window that sets the baseline makes no step.
static bool learn_best(struct wr_adaptive *a)
{
  bool is_probe = ++a->windows >= a->probe_at;
  bool is_best = a->baseline_ns == 0 || a->latency_ns < a->baseline_ns;
  if (is_probe || is_best) a->baseline_ns = a->latency_ns;
  if (is_probe) draw_probe(a);
  return is_probe || is_best;
}

static void learn_long_term(struct wr_adaptive *a)
{
  if (a->windows < LONG_WARM_UP) {
    a->windows++;
    a->baseline_ns += (a->latency_ns - a->baseline_ns) / a->windows;
  } else {
    a->baseline_ns += (a->latency_ns - a->baseline_ns) * 2 / (LONG_WINDOWS + 1);
  }
  // After an incident the long-term mean must not take as long to come back.
  if (a->baseline_ns > 2 * a->latency_ns) a->baseline_ns *= 0.95;
}

// Gradient2 has no word for failures: it backs off like aimd.
static double step(double limit, enum wr_adaptive_rule rule, const struct wr_adaptive_seen *seen)
{
  if (rule == WR_ADAPTIVE_VEGAS) return wr_adaptive_rules_vegas(limit, seen);
  bool is_aimd = rule == WR_ADAPTIVE_AIMD || seen->failed;
  return is_aimd ? wr_adaptive_rules_aimd(limit, seen) : wr_adaptive_rules_gradient2(limit, seen);
}

static double follow_rule(struct wr_adaptive *a, enum wr_adaptive_rule rule, bool failed)
{
  if (rule == WR_ADAPTIVE_GRADIENT2) learn_long_term(a);
  if (rule == WR_ADAPTIVE_VEGAS && learn_best(a) && !failed) return a->limit;
  struct wr_adaptive_seen seen = {a->latency_ns, a->baseline_ns, a->inflight, failed};
  return step(a->limit, rule, &seen);
}

static double judge(struct wr_adaptive *a, const struct wr_adaptive_config *config, bool failed)
{
  if (config->max_healthy_ns > 0 && a->latency_ns > (double)config->max_healthy_ns) {
    a->guarded++;
    return floor(a->limit * UNHEALTHY_BACKOFF);
  }
  double wanted = follow_rule(a, (enum wr_adaptive_rule)config->rule, failed);
  bool is_reached = a->inflight >= wr_adaptive_limit(a);
  if (wanted <= a->limit || !is_reached || !wr_trend_is_saturated(&a->trend)) return wanted;
  a->guarded++;
  return a->limit - wr_adaptive_rules_step(a->limit);
}

static double judge_good(struct wr_adaptive *a, const struct wr_adaptive_config *config,
                         uint64_t now_ns, bool failed)
{
  double seconds = (double)(now_ns - a->window_ns) / (double)WR_SECOND;
  a->latency_ns = a->sum_ns / a->good;
  wr_trend_add(&a->trend, (struct wr_trend_window){(float)a->inflight, (float)(a->good / seconds),
                                                   (float)a->latency_ns});
  return judge(a, config, failed);
}

static void end_window(struct wr_adaptive *a, const struct wr_adaptive_config *config,
                       uint64_t now_ns)
{
  uint64_t all = (uint64_t)a->failed + a->good;
  bool failed = (uint64_t)a->failed * FAILED_SHARE >= all;
  if (a->good > 0) {
    bound(a, config, judge_good(a, config, now_ns, failed));
  } else {
    // No latency to learn from: only that it failed.
    const struct wr_adaptive_seen seen = {1, 1, a->inflight, true};
    bound(a, config, step(a->limit, (enum wr_adaptive_rule)config->rule, &seen));
  }
  clear_window(a);
  a->window_ns = now_ns;
}

void wr_adaptive_sample(struct wr_adaptive *a, const struct wr_adaptive_config *config,
                        uint64_t now_ns, const struct wr_adaptive_call *call)
{
  if (config->rule == WR_ADAPTIVE_FIXED) return;
  if (call->is_good && call->latency_ns < LATENCY_MIN_NS) return;
  if (a->window_ns == 0) a->window_ns = now_ns;
  if (call->inflight > a->inflight) a->inflight = call->inflight;
  if (call->is_good) {
    a->good++;
    a->sum_ns += (double)call->latency_ns;
  } else {
    a->failed++;
  }
  bool is_enough = a->good + a->failed >= config->samples;
  if (is_enough && wr_deadline_left(now_ns, a->window_ns) >= config->window_ns) {
    end_window(a, config, now_ns);
  }
}

// --- repair -------------------------------------------------------------------------------------

static bool is_latency(double ns)
{
  return ns >= 0 && ns <= (double)WR_DURATION_MAX;
}

void wr_adaptive_repair(struct wr_adaptive *a, const struct wr_adaptive_config *config,
                        uint64_t now_ns)
{
  bool is_rng = a->rng.s[0] || a->rng.s[1] || a->rng.s[2] || a->rng.s[3];
  if (!is_rng) wr_rng_init(&a->rng, now_ns);
  if (!(a->limit >= config->min && a->limit <= config->max)) a->limit = config->initial;
  if (!is_latency(a->baseline_ns) || !is_latency(a->latency_ns)) {
    a->baseline_ns = 0;
    a->latency_ns = 0;
    a->windows = 0;
  }
  if (a->probe_at > (uint64_t)PROBE_TIMES * WR_ADAPTIVE_MAX + 1) draw_probe(a);
  // A window that was being counted is begun anew: the sums may be half written.
  clear_window(a);
  a->window_ns = 0;
  wr_trend_repair(&a->trend);
}

static const char *const rules[WR_ADAPTIVE_RULES] = {
#define WR_ADAPTIVE_RULE(ENUM, name, meaning) [WR_ADAPTIVE_##ENUM] = name,
#include "tables/states.def"
};

const char *wr_adaptive_rule_name(enum wr_adaptive_rule rule)
{
  WR_CHECK(rule < WR_ADAPTIVE_RULES);
  return rules[rule];
}

void wr_adaptive_archive(struct wr_adaptive *a, uint8_t rule, struct wr_archive *archive)
{
  struct wr_adaptive read = *a;
  uint8_t read_rule = rule;
  wr_archive_word(archive, "rule", &read_rule, rules, WR_ADAPTIVE_RULES);
  wr_archive_num(archive, "limit", &read.limit);
  wr_archive_num(archive, "baseline_ns", &read.baseline_ns);
  wr_archive_num(archive, "latency_ns", &read.latency_ns);
  wr_archive_u32(archive, "windows", &read.windows);
  wr_archive_u32(archive, "guarded", &read.guarded);
  // What one rule has learnt says nothing to another, and a fixed limit learns nothing.
  bool is_of_use = read_rule == rule && rule != WR_ADAPTIVE_FIXED;
  if (wr_archive_is_reading(archive) && is_of_use) *a = read;
}
