#include "resilience/chaos.h"

#include "base/check.h"
#include "base/duration.h"
#include "base/hash.h"
#include "base/rng.h"

enum { REQUESTS, FAILURES }; // columns of the guard

static const char *const state_names[WR_CHAOS_STATES] = {
#define WR_CHAOS_STATE(ENUM, name, meaning) [WR_CHAOS_##ENUM] = name,
#include "tables/states.def"
};

static const char *const cause_names[WR_CHAOS_CAUSES] = {
#define WR_CHAOS_CAUSE(ENUM, name, meaning) [WR_CHAOS_CAUSE_##ENUM] = name,
#include "tables/states.def"
};

static const char *const fault_names[WR_CHAOS_FAULTS] = {
#define WR_CHAOS_FAULT(ENUM, name, meaning) [WR_CHAOS_FAULT_##ENUM] = name,
#include "tables/states.def"
};

const char *wr_chaos_state_name(enum wr_chaos_state state)
{
  WR_CHECK(state < WR_CHAOS_STATES);
  return state_names[state];
}

const char *wr_chaos_cause_name(enum wr_chaos_cause cause)
{
  WR_CHECK(cause < WR_CHAOS_CAUSES);
  return cause_names[cause];
}

const char *wr_chaos_fault_name(enum wr_chaos_fault fault)
{
  WR_CHECK(fault < WR_CHAOS_FAULTS);
  return fault_names[fault];
}

// Configuration

void wr_chaos_config_init(struct wr_chaos_config *config)
{
  *config = (struct wr_chaos_config){.probability = 1,
                                     .expires_ns = 60 * WR_SECOND,
                                     .guard_rate = 0.2,
                                     .guard_window_ns = 30 * WR_SECOND,
                                     .guard_min_calls = 20};
}

static const char *check_faults(const struct wr_chaos_config *c)
{
  int instead = (c->error != WR_ERROR_NONE) + (c->status != 0) + c->is_reset;
  bool is_body = c->drip > 0 || c->is_truncated;
  if (c->error >= WR_ERROR_KINDS) return "error must be an error kind";
  if (c->status != 0 && (c->status < 200 || c->status > 599)) return "status must be 200 to 599";
  if (instead > 1) return "give one of error, status and reset";
  if (instead > 0 && is_body) return "drip and truncate need a response: no error, status or reset";
  if (instead == 0 && !is_body && c->latency_ns == 0) {
    return "give a fault: latency, error, status, reset, drip or truncate";
  }
  if (c->variance_ns > c->latency_ns) return "variance must be at most latency";
  if (c->latency_ns > 3600 * WR_SECOND) return "latency must be at most 1h";
  return NULL;
}

const char *wr_chaos_config_check(const struct wr_chaos_config *c)
{
  if (!(c->probability >= 0 && c->probability <= 1)) return "probability must be between 0 and 1";
  if (c->expires_ns < WR_MS || c->expires_ns > WR_CHAOS_EXPIRES_MAX) {
    return "expires must be 1ms to 1d";
  }
  if (c->after_ns > WR_CHAOS_EXPIRES_MAX) return "after must be at most 1d";
  if (c->every_ns > WR_CHAOS_EXPIRES_MAX) return "every must be at most 1d";
  if (c->every_ns > 0 && (c->lasts_ns == 0 || c->lasts_ns > c->every_ns)) {
    return "lasts must be more than 0 and at most every";
  }
  if (!(c->guard_rate > 0 && c->guard_rate <= 1)) return "failure_rate must be above 0, at most 1";
  if (c->guard_window_ns < WR_SECOND || c->guard_window_ns > 3600 * WR_SECOND) {
    return "window must be 1s to 1h";
  }
  if (c->guard_min_calls < 1) return "min_calls must be at least 1";
  return check_faults(c);
}

// Arming and disarming

static void tell(struct wr_chaos *c, enum wr_chaos_state to, enum wr_chaos_cause cause,
                 uint64_t now_ns)
{
  c->event = (struct wr_chaos_event){
      .seq = c->event.seq + 1,
      .to = (uint8_t)to,
      .cause = (uint8_t)cause,
      .requests = wr_rolling_sum(&c->guard, now_ns, REQUESTS),
      .failed = wr_rolling_sum(&c->guard, now_ns, FAILURES),
  };
}

static void disarm(struct wr_chaos *c, enum wr_chaos_cause cause, uint64_t now_ns)
{
  if (c->until_ns == 0) return;
  c->until_ns = 0;
  tell(c, WR_CHAOS_DISARMED, cause, now_ns);
}

static bool arm(struct wr_chaos *c, enum wr_chaos_cause cause, uint64_t now_ns)
{
  if (!c->config.is_allowed) {
    tell(c, WR_CHAOS_DISARMED, WR_CHAOS_CAUSE_FORBIDDEN, now_ns);
    return false;
  }
  wr_rolling_clear(&c->guard);
  c->armed_ns = now_ns;
  c->until_ns = now_ns + c->config.expires_ns;
  tell(c, WR_CHAOS_ARMED, cause, now_ns);
  return true;
}

void wr_chaos_init(struct wr_chaos *c, const struct wr_chaos_config *config)
{
  WR_CHECK(wr_chaos_config_check(config) == NULL);
  *c = (struct wr_chaos){.config = *config};
  wr_rolling_init(&c->guard, config->guard_window_ns);
}

void wr_chaos_reconfigure(struct wr_chaos *c, const struct wr_chaos_config *config, uint64_t now_ns)
{
  WR_CHECK(wr_chaos_config_check(config) == NULL);
  disarm(c, WR_CHAOS_CAUSE_DECLARED, now_ns);
  c->config = *config;
  c->is_started = false;
  wr_rolling_init(&c->guard, config->guard_window_ns);
}

void wr_chaos_start(struct wr_chaos *c, uint64_t now_ns)
{
  if (!c->config.is_eager || c->is_started) return;
  c->is_started = true;
  arm(c, WR_CHAOS_CAUSE_DECLARED, now_ns);
}

bool wr_chaos_apply(struct wr_chaos *c, uint64_t now_ns)
{
  return arm(c, WR_CHAOS_CAUSE_APPLIED, now_ns);
}

void wr_chaos_rollback(struct wr_chaos *c, uint64_t now_ns)
{
  disarm(c, WR_CHAOS_CAUSE_ROLLED_BACK, now_ns);
}

void wr_chaos_advance(struct wr_chaos *c, uint64_t now_ns)
{
  if (now_ns >= c->until_ns) disarm(c, WR_CHAOS_CAUSE_EXPIRED, now_ns);
}

uint64_t wr_chaos_next_ns(const struct wr_chaos *c)
{
  return c->until_ns > 0 ? c->until_ns : UINT64_MAX;
}

enum wr_chaos_state wr_chaos_state(const struct wr_chaos *c, uint64_t now_ns)
{
  return now_ns < c->until_ns ? WR_CHAOS_ARMED : WR_CHAOS_DISARMED;
}

bool wr_chaos_take(struct wr_chaos *c, struct wr_chaos_event *event)
{
  if (c->told_seq == c->event.seq) return false;
  c->told_seq = c->event.seq;
  *event = c->event;
  return true;
}

// Deciding

uint64_t wr_chaos_draw(struct wr_str name, struct wr_str request_id, uint32_t attempt)
{
  // The same key in every process, and nobody gains by choosing an id.
  const struct wr_hash_key key = {wr_hash_fnv(0, name), attempt};
  return wr_hash_sip(&key, request_id);
}

static bool is_time(const struct wr_chaos *c, uint64_t now_ns)
{
  if (wr_chaos_state(c, now_ns) != WR_CHAOS_ARMED) return false;
  uint64_t since_ns = now_ns > c->armed_ns ? now_ns - c->armed_ns : 0;
  if (since_ns < c->config.after_ns) return false;
  if (c->config.every_ns == 0) return true;
  return (since_ns - c->config.after_ns) % c->config.every_ns < c->config.lasts_ns;
}

// Evenly between latency - variance and latency + variance.
static uint64_t delay_of(const struct wr_chaos_config *config, double unit)
{
  double spread = (2 * unit - 1) * (double)config->variance_ns;
  return (uint64_t)((double)config->latency_ns + spread);
}

static enum wr_chaos_fault fault_of(const struct wr_chaos_config *config)
{
  if (config->error != WR_ERROR_NONE) return WR_CHAOS_FAULT_ERROR;
  if (config->status != 0) return WR_CHAOS_FAULT_STATUS;
  return config->is_reset ? WR_CHAOS_FAULT_RESET : WR_CHAOS_FAULT_NONE;
}

static void count(struct wr_chaos *c, enum wr_chaos_fault fault)
{
  if (c->config.latency_ns > 0) c->counters.faults[WR_CHAOS_FAULT_LATENCY]++;
  if (fault != WR_CHAOS_FAULT_NONE) c->counters.faults[fault]++;
  if (c->config.drip > 0) c->counters.faults[WR_CHAOS_FAULT_DRIP]++;
  if (c->config.is_truncated) c->counters.faults[WR_CHAOS_FAULT_TRUNCATE]++;
}

struct wr_chaos_verdict wr_chaos_decide(struct wr_chaos *c, uint64_t draw, uint64_t now_ns)
{
  struct wr_chaos_verdict verdict = {0};
  wr_chaos_advance(c, now_ns);
  if (!is_time(c, now_ns)) return verdict;
  struct wr_rng rng;
  wr_rng_init(&rng, draw);
  c->counters.calls++;
  if (wr_rng_unit(&rng) >= c->config.probability) return verdict;
  verdict.is_hit = true;
  verdict.delay_ns = delay_of(&c->config, wr_rng_unit(&rng));
  verdict.fault = fault_of(&c->config);
  count(c, verdict.fault);
  return verdict;
}

void wr_chaos_report(struct wr_chaos *c, bool has_failed, uint64_t now_ns)
{
  wr_chaos_advance(c, now_ns);
  if (c->until_ns == 0) return;
  wr_rolling_add(&c->guard, now_ns, REQUESTS, 1);
  if (has_failed) wr_rolling_add(&c->guard, now_ns, FAILURES, 1);
  uint32_t requests = wr_rolling_sum(&c->guard, now_ns, REQUESTS);
  uint32_t failed = wr_rolling_sum(&c->guard, now_ns, FAILURES);
  if (requests < c->config.guard_min_calls) return;
  // As a quotient: 1 of 5 reaches 0.2.
  if ((double)failed / requests >= c->config.guard_rate) {
    disarm(c, WR_CHAOS_CAUSE_GUARD, now_ns);
  }
}

// Repair

static bool is_whole(const struct wr_chaos *c, uint64_t now_ns)
{
  if (wr_chaos_config_check(&c->config) != NULL) return false;
  if (c->event.to >= WR_CHAOS_STATES || c->event.cause >= WR_CHAOS_CAUSES) return false;
  const unsigned char *started = (const unsigned char *)&c->is_started; // a torn one may be neither
  if (*started > 1) return false;
  if (c->until_ns == 0) return true;
  return c->config.is_allowed && c->armed_ns <= now_ns &&
         c->until_ns == c->armed_ns + c->config.expires_ns;
}

void wr_chaos_repair(struct wr_chaos *c, uint64_t now_ns)
{
  bool ok = is_whole(c, now_ns);
  if (wr_chaos_config_check(&c->config) != NULL) {
    wr_chaos_config_init(&c->config);
    c->config.latency_ns = 1; // what no fault would be; disarmed anyway
    c->config.is_allowed = false;
  }
  wr_rolling_repair(&c->guard, now_ns, c->config.guard_window_ns);
  if (ok) return;
  c->until_ns = 0;
  c->is_started = true;
  tell(c, WR_CHAOS_DISARMED, WR_CHAOS_CAUSE_REPAIRED, now_ns);
}
