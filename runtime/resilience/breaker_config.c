#include "resilience/breaker_config.h"

#include "base/duration.h"
#include "resilience/probes.h"
#include "resilience/window.h"

enum { CONSECUTIVE_MAX = 1000000, MIN_CALLS_MAX = 1000000 };

void wr_breaker_config_init(struct wr_breaker_config *config)
{
  *config = (struct wr_breaker_config){
      .mode = WR_BREAKER_MODE_NORMAL,
      .window_kind = WR_WINDOW_TIME,
      .window_size = 10 * WR_SECOND,
      .min_calls = 20,
      .failure_rate = 0.5,
      .open_ns = 5 * WR_SECOND,
      .open_max_ns = 60 * WR_SECOND,
      .open_jitter = 0.1,
      .probes = 3,
      .attempt_timeout_ns = 2 * WR_SECOND,
      .ramp_from = 0.1,
  };
}

static bool is_share(double x)
{
  return x >= 0 && x <= 1; // false for NaN
}

static bool is_duration(uint64_t ns, uint64_t min_ns)
{
  return ns >= min_ns && ns <= WR_DURATION_MAX;
}

static const char *check_window(const struct wr_breaker_config *c)
{
  if (c->window_kind == WR_WINDOW_COUNT) {
    if (c->window_size >= 1 && c->window_size <= WR_WINDOW_CALLS_MAX) return NULL;
    return "a window of calls must hold 1 to 1024";
  }
  if (c->window_kind != WR_WINDOW_TIME) return "window must be a number of calls or a duration";
  return is_duration(c->window_size, WR_MS) ? NULL : "a window of time must be 1ms to 10 years";
}

static const char *check_rules(const struct wr_breaker_config *c)
{
  if (c->min_calls < 1 || c->min_calls > MIN_CALLS_MAX) return "min_calls must be 1 to 1000000";
  if (c->consecutive > CONSECUTIVE_MAX) return "consecutive must be 0 to 1000000";
  if (!is_share(c->failure_rate)) return "failure_rate must be between 0 and 1";
  if (!is_share(c->slow_rate)) return "slow_rate must be between 0 and 1";
  if (!is_duration(c->slow_call_ns, 0)) return "slow_call must be at most 10 years";
  if (c->slow_rate > 0 && c->slow_call_ns == 0) return "slow_rate needs slow_call";
  return NULL;
}

static const char *check_recovery(const struct wr_breaker_config *c)
{
  if (!is_duration(c->open_ns, WR_MS)) return "open must be 1ms to 10 years";
  if (!is_duration(c->open_max_ns, c->open_ns)) return "open_max must be at least open";
  if (!is_share(c->open_jitter)) return "open_jitter must be between 0 and 1";
  if (c->probes < 1 || c->probes > WR_PROBES_MAX) return "probes must be 1 to 16";
  if (!is_duration(c->attempt_timeout_ns, 0)) return "attempt_timeout must be at most 10 years";
  if (!is_duration(c->probe_lease_ns, 0)) return "probe_lease must be at most 10 years";
  if (!is_duration(c->half_open_ns, 0)) return "half_open must be at most 10 years";
  if (!is_duration(c->ramp_ns, 0)) return "ramp must be at most 10 years";
  if (!is_share(c->ramp_from)) return "ramp_from must be between 0 and 1";
  return NULL;
}

const char *wr_breaker_config_check(const struct wr_breaker_config *config)
{
  if (config->mode >= WR_BREAKER_MODES) return "mode is unknown";
  const char *broken = check_window(config);
  if (broken == NULL) broken = check_rules(config);
  if (broken == NULL) broken = check_recovery(config);
  return broken;
}

static uint64_t two_attempts(const struct wr_breaker_config *c)
{
  return 2 * c->attempt_timeout_ns; // the check bounds it far below overflow
}

uint64_t wr_breaker_config_half_open(const struct wr_breaker_config *c)
{
  if (c->half_open_ns > 0) return c->half_open_ns;
  uint64_t attempts = two_attempts(c);
  return attempts > 10 * WR_SECOND ? attempts : 10 * WR_SECOND;
}

uint64_t wr_breaker_config_lease(const struct wr_breaker_config *c)
{
  if (c->probe_lease_ns > 0) return c->probe_lease_ns;
  return c->attempt_timeout_ns > 0 ? two_attempts(c) : wr_breaker_config_half_open(c);
}

uint32_t wr_breaker_config_min_calls(const struct wr_breaker_config *c)
{
  // A window of fewer calls could never trip otherwise.
  bool is_small = c->window_kind == WR_WINDOW_COUNT && c->window_size < c->min_calls;
  return is_small ? (uint32_t)c->window_size : c->min_calls;
}
