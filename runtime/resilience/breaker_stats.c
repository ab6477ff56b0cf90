#include "base/check.h"
#include "resilience/breaker_internal.h"
#include "resilience/deadline.h"

double wr_breaker_share(const struct wr_breaker *b, uint64_t now_ns)
{
  if (b->state == WR_BREAKER_OPEN || b->state == WR_BREAKER_FORCED_OPEN) return 0;
  if (b->state != WR_BREAKER_CLOSED || now_ns >= b->until_ns) return 1;
  double done = wr_breaker_ratio(wr_deadline_left(now_ns, b->since_ns), b->until_ns - b->since_ns);
  return b->config.ramp_from + (1 - b->config.ramp_from) * done;
}

void wr_breaker_stats(struct wr_breaker *b, uint64_t now_ns, struct wr_breaker_stats *stats)
{
  wr_breaker_advance(b, now_ns);
  struct wr_breaker_evidence e = wr_breaker_gather(b, now_ns);
  bool is_open = b->state == WR_BREAKER_OPEN;
  *stats = (struct wr_breaker_stats){
      .state = b->state,
      .mode = (uint8_t)wr_breaker_mode(b),
      .calls = e.sum.total,
      .failures = e.sum.failure,
      .slow = e.sum.slow,
      .overdue = e.overdue,
      .inflight = b->inflight.count,
      .probes = b->probes.live,
      .trips = b->trips,
      .enough = e.sum.total >= wr_breaker_config_min_calls(&b->config),
      .failure_rate = e.failure_rate,
      .slow_rate = e.slow_rate,
      .share = wr_breaker_share(b, now_ns),
      .since_ns = b->since_ns,
      .retry_after_ns = is_open ? wr_deadline_left(b->until_ns, now_ns) : 0,
  };
}

bool wr_breaker_take_event(struct wr_breaker *b, struct wr_breaker_event *event)
{
  return wr_breaker_events_take(&b->events, event);
}

// Names

static const char *const states[WR_BREAKER_STATES] = {
#define WR_BREAKER_STATE(ENUM, name, meaning) [WR_BREAKER_##ENUM] = name,
#include "tables/states.def"
};

static const char *const modes[WR_BREAKER_MODES] = {
#define WR_BREAKER_MODE(ENUM, name, meaning) [WR_BREAKER_MODE_##ENUM] = name,
#include "tables/states.def"
};

static const char *const causes[WR_BREAKER_CAUSES] = {
#define WR_BREAKER_CAUSE(ENUM, name, meaning) [WR_BREAKER_CAUSE_##ENUM] = name,
#include "tables/states.def"
};

static const char *const refusals[WR_BREAKER_REFUSALS] = {
#define WR_BREAKER_REFUSAL(ENUM, name, meaning) [WR_BREAKER_REFUSAL_##ENUM] = name,
#include "tables/states.def"
};

const char *wr_breaker_state_name(enum wr_breaker_state state)
{
  WR_CHECK(state < WR_BREAKER_STATES);
  return states[state];
}

const char *wr_breaker_mode_name(enum wr_breaker_mode mode)
{
  WR_CHECK(mode < WR_BREAKER_MODES);
  return modes[mode];
}

const char *wr_breaker_cause_name(enum wr_breaker_cause cause)
{
  WR_CHECK(cause < WR_BREAKER_CAUSES);
  return causes[cause];
}

const char *wr_breaker_refusal_name(enum wr_breaker_refusal_kind kind)
{
  WR_CHECK(kind < WR_BREAKER_REFUSALS);
  return refusals[kind];
}
