#include "base/duration.h"
#include "resilience/breaker_internal.h"
#include "resilience/deadline.h"

static uint64_t open_time_max(const struct wr_breaker_config *c)
{
  return (uint64_t)((double)c->open_max_ns * (1 + c->open_jitter)) + 1;
}

static void repair_fields(struct wr_breaker *b, uint64_t now_ns)
{
  if (wr_breaker_config_check(&b->config) != NULL) wr_breaker_config_init(&b->config);
  if (b->forced >= WR_BREAKER_MODES) b->forced = WR_BREAKER_MODE_NORMAL;
  b->is_held = b->is_held != 0;
  if (b->trips > WR_BREAKER_TRIPS_MAX) b->trips = WR_BREAKER_TRIPS_MAX;
  if (!(b->ramp_credit >= 0 && b->ramp_credit < 2)) b->ramp_credit = 0;
  const uint64_t *s = b->rng.s;
  if ((s[0] | s[1] | s[2] | s[3]) == 0) wr_rng_init(&b->rng, now_ns);
}

// The longest that a state may last from now on.
static uint64_t time_max(const struct wr_breaker *b)
{
  switch (b->state) {
  case WR_BREAKER_OPEN: return open_time_max(&b->config);
  case WR_BREAKER_HALF_OPEN: return wr_breaker_config_half_open(&b->config);
  default: return b->config.ramp_ns;
  }
}

static void repair_times(struct wr_breaker *b, uint64_t now_ns)
{
  uint64_t end_ns = wr_deadline_in(now_ns, time_max(b));
  // An open time may be longer than a new configuration allows; it is whole if its parts agree.
  bool is_whole = b->state == WR_BREAKER_OPEN && b->open_last_ns <= 2 * WR_DURATION_MAX &&
                  b->since_ns <= now_ns && b->until_ns == b->since_ns + b->open_last_ns;
  if (!is_whole && b->until_ns > end_ns) b->until_ns = end_ns;
  if (!is_whole && b->open_last_ns > open_time_max(&b->config)) b->open_last_ns = b->config.open_ns;
  if (b->since_ns > now_ns) b->since_ns = now_ns;
  if (b->until_ns < b->since_ns) b->until_ns = b->since_ns;
}

void wr_breaker_repair(struct wr_breaker *b, uint32_t live_normal, uint32_t live_probes,
                       uint64_t now_ns)
{
  repair_fields(b, now_ns);
  wr_breaker_events_repair(&b->events);
  wr_window_repair(&b->window, b->config.window_kind, b->config.window_size, now_ns);
  bool is_lost = b->state >= WR_BREAKER_STATES;
  if (is_lost) b->state = WR_BREAKER_HALF_OPEN;
  if (b->events.reported >= WR_BREAKER_STATES) b->events.reported = b->state;
  repair_times(b, now_ns);
  wr_inflight_repair(&b->inflight, b->config.slow_call_ns, live_normal, now_ns);
  wr_probes_repair(&b->probes, b->until_ns);
  bool is_half_open = b->state == WR_BREAKER_HALF_OPEN;
  bool escapes = b->is_held && (is_half_open || b->state == WR_BREAKER_CLOSED);
  if (is_lost || escapes || (is_half_open && b->probes.live != live_probes)) {
    wr_breaker_transition(b, WR_BREAKER_OPEN, WR_BREAKER_CAUSE_REPAIRED, now_ns);
  } else if (b->events.reported != b->state) {
    wr_breaker_record(b, b->state, WR_BREAKER_CAUSE_REPAIRED, now_ns);
  }
  if (b->state == WR_BREAKER_HALF_OPEN) {
    wr_breaker_decide(b, b->config.probes, now_ns);
  } else {
    wr_probes_reset(&b->probes);
  }
  wr_breaker_follow_mode(b, now_ns);
}
