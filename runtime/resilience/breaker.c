#include "resilience/breaker.h"

#include "base/check.h"
#include "resilience/breaker_internal.h"
#include "resilience/deadline.h"

#include <math.h>

// Transitions

static struct wr_breaker_event describe(struct wr_breaker *b, uint64_t at_ns)
{
  if (b->state == WR_BREAKER_HALF_OPEN) {
    const struct wr_probes *p = &b->probes;
    uint32_t verdicts = (uint32_t)p->succeeded + p->failed;
    return (struct wr_breaker_event){
        .calls = verdicts,
        .failure_rate = (float)wr_breaker_ratio(p->failed, verdicts),
        .slow_rate = (float)wr_breaker_ratio(p->slow, verdicts),
    };
  }
  struct wr_breaker_evidence e = wr_breaker_gather(b, at_ns);
  return (struct wr_breaker_event){
      .calls = e.sum.total,
      .overdue = e.overdue,
      .failure_rate = (float)e.failure_rate,
      .slow_rate = (float)e.slow_rate,
  };
}

void wr_breaker_record(struct wr_breaker *b, enum wr_breaker_state to, enum wr_breaker_cause cause,
                       uint64_t at_ns)
{
  struct wr_breaker_event event = describe(b, at_ns);
  event.at_ns = at_ns;
  event.to = (uint8_t)to;
  event.cause = (uint8_t)cause;
  wr_breaker_events_push(&b->events, event);
}

// Doubles while the breaker trips again before it has been closed for as long as it was open.
static uint64_t next_open_time(struct wr_breaker *b, uint64_t at_ns)
{
  bool was_closed = b->state == WR_BREAKER_CLOSED;
  if (was_closed && wr_deadline_left(at_ns, b->since_ns) >= b->open_last_ns) b->trips = 0;
  double time = ldexp((double)b->config.open_ns, (int)b->trips);
  if (b->trips < WR_BREAKER_TRIPS_MAX) b->trips++;
  time = fmin(time, (double)b->config.open_max_ns);
  time *= 1 + b->config.open_jitter * (2 * wr_rng_unit(&b->rng) - 1);
  b->open_last_ns = (uint64_t)time;
  return b->open_last_ns;
}

static bool has_ramp(const struct wr_breaker *b, enum wr_breaker_cause cause)
{
  return cause == WR_BREAKER_CAUSE_PROBES_SUCCEEDED || cause == WR_BREAKER_CAUSE_IDLE ||
         (cause == WR_BREAKER_CAUSE_MODE && b->state == WR_BREAKER_FORCED_OPEN);
}

static uint64_t end_of(struct wr_breaker *b, enum wr_breaker_state to, enum wr_breaker_cause cause,
                       uint64_t at_ns)
{
  switch (to) {
  case WR_BREAKER_OPEN: return b->is_held ? at_ns : wr_deadline_in(at_ns, next_open_time(b, at_ns));
  case WR_BREAKER_HALF_OPEN: return wr_deadline_in(at_ns, wr_breaker_config_half_open(&b->config));
  case WR_BREAKER_CLOSED: return wr_deadline_in(at_ns, has_ramp(b, cause) ? b->config.ramp_ns : 0);
  default: return at_ns;
  }
}

void wr_breaker_transition(struct wr_breaker *b, enum wr_breaker_state to,
                           enum wr_breaker_cause cause, uint64_t at_ns)
{
  wr_breaker_record(b, to, cause, at_ns);
  b->until_ns = end_of(b, to, cause, at_ns);
  // What a forced-closed breaker has counted is as true in the closed state.
  bool keeps_window = b->state == WR_BREAKER_FORCED_CLOSED || to == WR_BREAKER_OPEN;
  if (!keeps_window) wr_window_clear(&b->window);
  wr_inflight_init(&b->inflight, b->config.slow_call_ns);
  wr_probes_reset(&b->probes);
  b->failures_in_row = 0;
  b->ramp_credit = 1;
  b->since_ns = at_ns;
  b->generation++;
  b->state = (uint8_t)to;
}

// Half-open

bool wr_breaker_decide(struct wr_breaker *b, uint32_t of, uint64_t at_ns)
{
  switch (wr_probes_decide(&b->probes, of, b->config.failure_rate, b->config.slow_rate)) {
  case WR_PROBES_FAILED:
    wr_breaker_transition(b, WR_BREAKER_OPEN, WR_BREAKER_CAUSE_PROBES_FAILED, at_ns);
    return true;
  case WR_PROBES_SLOW:
    wr_breaker_transition(b, WR_BREAKER_OPEN, WR_BREAKER_CAUSE_PROBES_SLOW, at_ns);
    return true;
  case WR_PROBES_SUCCEEDED:
    wr_breaker_transition(b, WR_BREAKER_CLOSED, WR_BREAKER_CAUSE_PROBES_SUCCEEDED, at_ns);
    return true;
  default: return false;
  }
}

// The half-open time is over: the verdicts there are must do.
static void conclude(struct wr_breaker *b, uint64_t at_ns)
{
  if (wr_breaker_decide(b, 0, at_ns)) return;
  if (b->probes.asked > 0) {
    wr_breaker_transition(b, WR_BREAKER_OPEN, WR_BREAKER_CAUSE_PROBES_SILENT, at_ns);
  } else {
    wr_breaker_transition(b, WR_BREAKER_CLOSED, WR_BREAKER_CAUSE_IDLE, at_ns);
  }
}

static bool advance_half_open(struct wr_breaker *b, uint64_t now_ns)
{
  uint64_t lapse_ns = wr_probes_next_ns(&b->probes);
  if (lapse_ns <= b->until_ns && lapse_ns <= now_ns) {
    wr_probes_lapse(&b->probes, lapse_ns);
    b->counters.lapsed++;
    wr_breaker_decide(b, b->config.probes, lapse_ns);
    return true;
  }
  if (b->until_ns > now_ns) return false;
  conclude(b, b->until_ns);
  return true;
}

// Closed

// Judges at each moment at which running calls became slow, in order.
static bool advance_closed(struct wr_breaker *b, uint64_t now_ns)
{
  if (b->config.slow_rate <= 0) return false;
  uint64_t due_ns = wr_inflight_next_ns(&b->inflight);
  if (due_ns > now_ns) return false;
  enum wr_breaker_cause cause = wr_breaker_judge(b, due_ns);
  if (cause != WR_BREAKER_CAUSES) wr_breaker_transition(b, WR_BREAKER_OPEN, cause, due_ns);
  return true;
}

static void trip_if_due(struct wr_breaker *b, uint64_t now_ns)
{
  if (b->state != WR_BREAKER_CLOSED) return;
  enum wr_breaker_cause cause = wr_breaker_judge(b, now_ns);
  if (cause != WR_BREAKER_CAUSES) wr_breaker_transition(b, WR_BREAKER_OPEN, cause, now_ns);
}

// One step on the way to now; false when there is none. Half-open without a call ends closed, so
// the steps end.
static bool step(struct wr_breaker *b, uint64_t now_ns)
{
  switch (b->state) {
  case WR_BREAKER_OPEN:
    if (b->is_held || b->until_ns > now_ns) return false;
    wr_breaker_transition(b, WR_BREAKER_HALF_OPEN, WR_BREAKER_CAUSE_OPEN_ELAPSED, b->until_ns);
    return true;
  case WR_BREAKER_HALF_OPEN: return advance_half_open(b, now_ns);
  case WR_BREAKER_CLOSED: return advance_closed(b, now_ns);
  default: return false;
  }
}

// Whether the clock demands nothing of it, whatever the time is.
static inline bool is_timeless(const struct wr_breaker *b)
{
  return b->state == WR_BREAKER_CLOSED && b->config.slow_rate <= 0;
}

void wr_breaker_advance(struct wr_breaker *b, uint64_t now_ns)
{
  if (is_timeless(b)) return;
  while (step(b, now_ns)) {
  }
}

uint64_t wr_breaker_next_ns(const struct wr_breaker *b)
{
  switch (b->state) {
  case WR_BREAKER_OPEN: return b->is_held ? UINT64_MAX : b->until_ns;
  case WR_BREAKER_HALF_OPEN: {
    uint64_t lapse_ns = wr_probes_next_ns(&b->probes);
    return lapse_ns < b->until_ns ? lapse_ns : b->until_ns;
  }
  case WR_BREAKER_CLOSED:
    return b->config.slow_rate > 0 ? wr_inflight_next_ns(&b->inflight) : UINT64_MAX;
  default: return UINT64_MAX;
  }
}

// Modes

bool wr_breaker_is_forced(const struct wr_breaker *b)
{
  return b->forced != WR_BREAKER_MODE_NORMAL;
}

enum wr_breaker_mode wr_breaker_mode(const struct wr_breaker *b)
{
  return b->forced != WR_BREAKER_MODE_NORMAL ? b->forced : b->config.mode;
}

// The state that the mode pins, or WR_BREAKER_STATES when it pins none.
static enum wr_breaker_state pinned_state(const struct wr_breaker *b)
{
  switch (wr_breaker_mode(b)) {
  case WR_BREAKER_MODE_FORCED_OPEN: return WR_BREAKER_FORCED_OPEN;
  case WR_BREAKER_MODE_FORCED_CLOSED: return WR_BREAKER_FORCED_CLOSED;
  case WR_BREAKER_MODE_DISABLED: return WR_BREAKER_DISABLED;
  default: return WR_BREAKER_STATES;
  }
}

void wr_breaker_follow_mode(struct wr_breaker *b, uint64_t now_ns)
{
  enum wr_breaker_state pinned = pinned_state(b);
  bool is_pinned = b->state >= WR_BREAKER_FORCED_OPEN;
  if (pinned == b->state || (pinned == WR_BREAKER_STATES && !is_pinned)) return;
  enum wr_breaker_state free_state = b->is_held ? WR_BREAKER_OPEN : WR_BREAKER_CLOSED;
  enum wr_breaker_state to = pinned == WR_BREAKER_STATES ? free_state : pinned;
  wr_breaker_transition(b, to, WR_BREAKER_CAUSE_MODE, now_ns);
}

void wr_breaker_hold(struct wr_breaker *b, bool is_held, uint64_t now_ns)
{
  if (is_held == (b->is_held != 0)) return;
  wr_breaker_advance(b, now_ns);
  b->is_held = is_held;
  bool is_passing = b->state == WR_BREAKER_CLOSED || b->state == WR_BREAKER_HALF_OPEN;
  if (is_held && is_passing) {
    wr_breaker_transition(b, WR_BREAKER_OPEN, WR_BREAKER_CAUSE_HEALTH_DOWN, now_ns);
  } else if (!is_held && b->state == WR_BREAKER_OPEN) {
    wr_breaker_transition(b, WR_BREAKER_HALF_OPEN, WR_BREAKER_CAUSE_HEALTH_UP, now_ns);
  }
}

void wr_breaker_force(struct wr_breaker *b, enum wr_breaker_mode mode, uint64_t now_ns)
{
  WR_CHECK(mode < WR_BREAKER_MODES);
  wr_breaker_advance(b, now_ns);
  b->forced = (uint8_t)mode;
  wr_breaker_follow_mode(b, now_ns);
  trip_if_due(b, now_ns);
}

bool wr_breaker_reset(struct wr_breaker *b, uint64_t now_ns)
{
  wr_breaker_force(b, WR_BREAKER_MODE_NORMAL, now_ns);
  if (b->is_held || pinned_state(b) != WR_BREAKER_STATES) return false;
  if (b->state != WR_BREAKER_CLOSED) {
    wr_breaker_transition(b, WR_BREAKER_CLOSED, WR_BREAKER_CAUSE_RESET, now_ns);
  }
  wr_window_clear(&b->window);
  b->failures_in_row = 0;
  b->trips = 0;
  return true;
}

// Life

void wr_breaker_init(struct wr_breaker *b, const struct wr_breaker_config *config,
                     struct wr_rng *rng, uint64_t now_ns)
{
  WR_CHECK(wr_breaker_config_check(config) == NULL);
  *b = (struct wr_breaker){
      .config = *config,
      .generation = 1,
      .since_ns = now_ns,
      .until_ns = now_ns,
      .ramp_credit = 1,
  };
  enum wr_breaker_state pinned = pinned_state(b);
  b->state = pinned == WR_BREAKER_STATES ? WR_BREAKER_CLOSED : (uint8_t)pinned;
  wr_breaker_events_init(&b->events, b->state);
  wr_rng_init(&b->rng, wr_rng_next(rng));
  wr_window_init(&b->window, config->window_kind, config->window_size);
  wr_inflight_init(&b->inflight, config->slow_call_ns);
}

void wr_breaker_reconfigure(struct wr_breaker *b, const struct wr_breaker_config *config,
                            uint64_t now_ns)
{
  WR_CHECK(wr_breaker_config_check(config) == NULL);
  wr_breaker_advance(b, now_ns);
  b->config = *config;
  wr_window_reshape(&b->window, config->window_kind, config->window_size, now_ns);
  wr_inflight_reshape(&b->inflight, config->slow_call_ns, now_ns);
  if (b->state == WR_BREAKER_CLOSED && config->ramp_ns == 0) b->until_ns = b->since_ns;
  wr_breaker_follow_mode(b, now_ns);
  trip_if_due(b, now_ns);
  if (b->state == WR_BREAKER_HALF_OPEN) wr_breaker_decide(b, config->probes, now_ns);
}

// Admission

// Spreads the admitted calls evenly, without a random draw.
static bool passes_ramp(struct wr_breaker *b, uint64_t now_ns)
{
  double share = wr_breaker_share(b, now_ns);
  if (share >= 1) return true;
  b->ramp_credit += share;
  if (b->ramp_credit < 1) return false;
  b->ramp_credit -= 1;
  return true;
}

static bool permits(struct wr_breaker *b, uint64_t now_ns, struct wr_breaker_refusal *why)
{
  switch (b->state) {
  case WR_BREAKER_OPEN:
    why->kind = b->is_held ? WR_BREAKER_REFUSAL_HEALTH : WR_BREAKER_REFUSAL_OPEN;
    why->retry_after_ns = b->is_held ? UINT64_MAX : wr_deadline_left(b->until_ns, now_ns);
    return false;
  case WR_BREAKER_HALF_OPEN:
    why->kind = WR_BREAKER_REFUSAL_PROBES;
    why->retry_after_ns = wr_deadline_left(wr_breaker_next_ns(b), now_ns);
    return false;
  case WR_BREAKER_FORCED_OPEN:
    why->kind = WR_BREAKER_REFUSAL_FORCED;
    why->retry_after_ns = UINT64_MAX;
    return false;
  case WR_BREAKER_CLOSED:
    if (passes_ramp(b, now_ns)) return true;
    why->kind = WR_BREAKER_REFUSAL_RAMP;
    why->retry_after_ns = wr_deadline_left(b->until_ns, now_ns);
    return false;
  default: return true;
  }
}

static uint16_t take_probe(struct wr_breaker *b, uint64_t now_ns)
{
  if (b->state != WR_BREAKER_HALF_OPEN) return 0;
  uint64_t until_ns = wr_deadline_in(now_ns, wr_breaker_config_lease(&b->config));
  return wr_probes_take(&b->probes, b->config.probes, until_ns);
}

bool wr_breaker_try(struct wr_breaker *b, uint64_t now_ns, struct wr_ticket *ticket,
                    struct wr_breaker_refusal *refusal)
{
  wr_breaker_advance(b, now_ns);
  struct wr_breaker_refusal why = {0};
  uint16_t lease = take_probe(b, now_ns);
  if (lease == 0 && !permits(b, now_ns, &why)) {
    if (wr_breaker_mode(b) != WR_BREAKER_MODE_SHADOW) {
      b->counters.not_permitted++;
      *refusal = why;
      return false;
    }
    b->counters.shadow_not_permitted++;
  }
  *ticket = (struct wr_ticket){
      .generation = b->generation,
      .lease = lease,
      .kind = lease ? WR_TICKET_PROBE : WR_TICKET_NORMAL,
      .t_start_ns = now_ns,
  };
  if (lease == 0) wr_inflight_start(&b->inflight, now_ns);
  return true;
}

// Results

static void count_result(struct wr_breaker *b, enum wr_outcome outcome, bool slow)
{
  struct wr_breaker_counters *c = &b->counters;
  switch (outcome) {
  case WR_OUTCOME_SUCCESS: c->successful++; break;
  case WR_OUTCOME_FAILURE: c->failed++; break;
  case WR_OUTCOME_IGNORED: c->ignored++; break;
  default: c->cancelled++; break;
  }
  c->slow += slow;
}

static void learn(struct wr_breaker *b, bool failed, bool slow, uint64_t now_ns)
{
  if (b->state != WR_BREAKER_CLOSED && b->state != WR_BREAKER_FORCED_CLOSED) return;
  wr_window_add(&b->window, now_ns, failed, slow);
  if (!failed) {
    b->failures_in_row = 0;
  } else if (b->failures_in_row < UINT32_MAX) {
    b->failures_in_row++;
  }
  // Most calls are well; where no other was ill either, there is nothing to judge.
  bool is_calm = !failed && !slow && b->config.slow_rate <= 0 && wr_window_is_clean(&b->window);
  if (!is_calm) trip_if_due(b, now_ns);
}

static bool settle_probe(struct wr_breaker *b, uint16_t lease, enum wr_outcome outcome, bool slow,
                         uint64_t now_ns)
{
  bool failed = outcome == WR_OUTCOME_FAILURE;
  bool is_verdict = failed || outcome == WR_OUTCOME_SUCCESS;
  bool is_held = is_verdict ? wr_probes_settle(&b->probes, lease, failed, slow)
                            : wr_probes_release(&b->probes, lease);
  if (!is_held) {
    b->counters.stale++;
    return false;
  }
  count_result(b, outcome, slow);
  if (is_verdict) wr_breaker_decide(b, b->config.probes, now_ns);
  return true;
}

static bool settle_normal(struct wr_breaker *b, uint64_t start_ns, enum wr_outcome outcome,
                          bool slow, uint64_t now_ns)
{
  wr_inflight_end(&b->inflight, start_ns, now_ns);
  if (b->state == WR_BREAKER_DISABLED) return false;
  count_result(b, outcome, slow);
  if (outcome == WR_OUTCOME_FAILURE || outcome == WR_OUTCOME_SUCCESS) {
    learn(b, outcome == WR_OUTCOME_FAILURE, slow, now_ns);
  }
  return true;
}

static bool is_slow(const struct wr_breaker *b, const struct wr_ticket *ticket,
                    enum wr_outcome outcome, uint64_t now_ns)
{
  if (outcome != WR_OUTCOME_FAILURE && outcome != WR_OUTCOME_SUCCESS) return false;
  uint64_t limit_ns = b->config.slow_call_ns;
  return limit_ns > 0 && wr_deadline_left(now_ns, ticket->t_start_ns) >= limit_ns;
}

bool wr_breaker_settle(struct wr_breaker *b, struct wr_ticket *ticket, enum wr_outcome outcome,
                       uint64_t now_ns)
{
  WR_CHECK(outcome < WR_OUTCOMES);
  if (ticket->done) return false;
  wr_breaker_advance(b, now_ns);
  ticket->done = true;
  if (ticket->generation != b->generation) {
    b->counters.stale++;
    return false;
  }
  bool slow = is_slow(b, ticket, outcome, now_ns);
  if (ticket->kind == WR_TICKET_PROBE) return settle_probe(b, ticket->lease, outcome, slow, now_ns);
  return settle_normal(b, ticket->t_start_ns, outcome, slow, now_ns);
}

// Questions

enum wr_breaker_state wr_breaker_state(const struct wr_breaker *b, uint64_t now_ns)
{
  if (now_ns < wr_breaker_next_ns(b)) return b->state;
  struct wr_breaker later = *b;
  wr_breaker_advance(&later, now_ns);
  return later.state;
}
