#include "resilience/outlier.h"

#include "base/check.h"
#include "base/duration.h"

#include <string.h>

enum { BUCKET_MIN_SHIFT = 17 }; // 2^17 ns are 131 µs

static const char *const cause_names[WR_OUTLIER_CAUSES] = {
#define WR_OUTLIER_CAUSE(ENUM, name, meaning) [WR_OUTLIER_##ENUM] = name,
#include "tables/states.def"
};

const char *wr_outlier_cause_name(enum wr_outlier_cause cause)
{
  WR_CHECK(cause < WR_OUTLIER_CAUSES);
  return cause_names[cause];
}

void wr_outlier_config_init(struct wr_outlier_config *config)
{
  *config = (struct wr_outlier_config){.window_ns = 10 * WR_SECOND,
                                       .base_ns = 30 * WR_SECOND,
                                       .max_ns = 300 * WR_SECOND,
                                       .jitter = 0.1,
                                       .max_share = 0.5,
                                       .failure_rate = 0.5,
                                       .slow_windows = 3,
                                       .consecutive = 5,
                                       .min_calls = 50};
}

static bool is_share(double x)
{
  return x >= 0 && x <= 1;
}

const char *wr_outlier_config_check(const struct wr_outlier_config *c)
{
  if (c->window_ns < WR_MS) return "window is at least 1ms";
  if (c->base_ns < WR_MS) return "base is at least 1ms";
  if (c->max_ns < c->base_ns) return "max is at least base";
  if (!is_share(c->jitter)) return "jitter is a ratio from 0 to 1";
  if (!is_share(c->max_share)) return "max_share is a ratio from 0 to 1";
  if (!is_share(c->failure_rate)) return "failure_rate is a ratio from 0 to 1";
  if (c->latency != 0 && !(c->latency > 1)) return "latency is greater than 1";
  if (c->slow_windows < 1) return "slow_windows is at least 1";
  if (c->min_calls < 1) return "min_calls is at least 1";
  return NULL;
}

// Latencies

uint32_t wr_outlier_bucket(uint64_t latency_ns)
{
  if (latency_ns < UINT64_C(1) << BUCKET_MIN_SHIFT) return 0;
  uint32_t octave = 63 - (uint32_t)__builtin_clzll(latency_ns);
  uint32_t quarter = (uint32_t)(latency_ns >> (octave - 2)) & 3;
  uint32_t bucket = (octave - BUCKET_MIN_SHIFT) * 4 + quarter + 1;
  return bucket < WR_OUTLIER_BUCKETS ? bucket : WR_OUTLIER_BUCKETS - 1;
}

uint64_t wr_outlier_bucket_ns(uint32_t bucket)
{
  return (uint64_t)(4 + bucket % 4) << (BUCKET_MIN_SHIFT - 2 + bucket / 4);
}

void wr_outlier_batch_success(struct wr_outlier_batch *batch, uint64_t latency_ns)
{
  uint16_t *count = &batch->latencies[wr_outlier_bucket(latency_ns)];
  if (*count < UINT16_MAX) (*count)++;
  batch->successes++;
}

static uint64_t p90(const struct wr_outlier_batch *b)
{
  uint64_t sum = 0;
  uint64_t seen = 0;
  for (uint32_t i = 0; i < WR_OUTLIER_BUCKETS; i++) sum += b->latencies[i];
  for (uint32_t i = 0; i < WR_OUTLIER_BUCKETS; i++) {
    seen += b->latencies[i];
    if (seen * 10 >= sum * 9) return wr_outlier_bucket_ns(i);
  }
  return 0;
}

static void add_batch(struct wr_outlier_batch *to, const struct wr_outlier_batch *from)
{
  to->successes += from->successes;
  to->failures += from->failures;
  for (uint32_t i = 0; i < WR_OUTLIER_BUCKETS; i++) {
    uint32_t sum = (uint32_t)to->latencies[i] + from->latencies[i];
    to->latencies[i] = sum < UINT16_MAX ? (uint16_t)sum : UINT16_MAX;
  }
}

// Life

size_t wr_outlier_bytes(uint32_t capacity)
{
  return sizeof(struct wr_outlier) + capacity * sizeof(struct wr_outlier_row);
}

void wr_outlier_init(struct wr_outlier *o, const struct wr_outlier_config *config,
                     uint32_t capacity, uint64_t seed)
{
  memset(o, 0, wr_outlier_bytes(capacity));
  o->config = *config;
  o->capacity = capacity;
  wr_rng_init(&o->rng, seed);
}

static void recount(struct wr_outlier *o)
{
  o->count = o->ejected = o->usable = 0;
  for (uint32_t i = 0; i < o->capacity; i++) {
    const struct wr_outlier_row *row = &o->rows[i];
    if (!row->is_used) continue;
    o->count++;
    o->ejected += row->is_ejected;
    o->usable += !row->is_ejected && !row->is_unhealthy;
  }
}

void wr_outlier_move(struct wr_outlier *to, const struct wr_outlier *from)
{
  uint32_t capacity = to->capacity;
  uint32_t rows = capacity < from->capacity ? capacity : from->capacity;
  memcpy(to, from, sizeof(*to));
  to->capacity = capacity;
  memcpy(to->rows, from->rows, rows * sizeof(to->rows[0]));
  recount(to);
}

void wr_outlier_move_row(struct wr_outlier *to, uint32_t at, const struct wr_outlier *from,
                         uint32_t row)
{
  to->rows[at] = from->rows[row];
  for (uint32_t i = 0; i < to->event_count; i++) {
    struct wr_outlier_event *event = &to->events[(to->event_first + i) % WR_OUTLIER_EVENTS];
    if (event->row == row) event->row = at;
  }
  recount(to);
}

bool wr_outlier_is_known(const struct wr_outlier *o, uint32_t row)
{
  return o->rows[row].is_unhealthy || o->rows[row].ejections > 0;
}

void wr_outlier_join(struct wr_outlier *o, uint32_t row, uint64_t now_ns)
{
  WR_CHECK(row < o->capacity && !o->rows[row].is_used);
  memset(&o->rows[row], 0, sizeof(o->rows[row]));
  o->rows[row].is_used = true;
  o->rows[row].since_ns = now_ns;
  recount(o);
}

void wr_outlier_part(struct wr_outlier *o, uint32_t row)
{
  WR_CHECK(row < o->capacity && o->rows[row].is_used);
  o->rows[row].is_used = false;
  recount(o);
}

void wr_outlier_mark(struct wr_outlier *o, uint32_t row, bool is_unhealthy)
{
  o->rows[row].is_unhealthy = is_unhealthy;
  recount(o);
}

// Out and back

static void tell(struct wr_outlier *o, const struct wr_outlier_event *event)
{
  if (o->event_count == WR_OUTLIER_EVENTS) {
    o->event_first = (o->event_first + 1) % WR_OUTLIER_EVENTS;
    o->event_count--;
  }
  o->events[(o->event_first + o->event_count++) % WR_OUTLIER_EVENTS] = *event;
}

static void forget_calls(struct wr_outlier_row *row)
{
  row->consecutive = 0;
  row->slow = 0;
  memset(&row->window, 0, sizeof(row->window));
}

static bool may_eject(const struct wr_outlier *o, const struct wr_outlier_row *row)
{
  double most = o->config.max_share * o->count;
  if (most < 1) most = 1;
  // One that is unhealthy anyhow is none of the usable.
  return o->ejected + 1 <= most && o->usable > !row->is_unhealthy;
}

// Each base time of good conduct takes back one step.
static uint32_t level_now(const struct wr_outlier *o, const struct wr_outlier_row *row,
                          uint64_t now_ns)
{
  uint64_t quiet = now_ns > row->since_ns ? (now_ns - row->since_ns) / o->config.base_ns : 0;
  return quiet < row->level ? row->level - (uint32_t)quiet : 0;
}

static bool eject(struct wr_outlier *o, struct wr_outlier_row *row, struct wr_outlier_event *event)
{
  const struct wr_outlier_config *c = &o->config;
  if (!may_eject(o, row)) {
    o->spared++;
    return false;
  }
  uint64_t steps = c->max_ns / c->base_ns + 1;
  row->level = level_now(o, row, event->at_ns) + 1;
  if (row->level > steps) row->level = (uint32_t)steps;
  double length = (double)c->base_ns * row->level;
  if (length > (double)c->max_ns) length = (double)c->max_ns;
  event->for_ns = (uint64_t)(length * (1 - c->jitter * wr_rng_unit(&o->rng)));
  event->row = (uint32_t)(row - o->rows);
  event->is_ejected = true;
  row->is_ejected = true;
  row->cause = event->cause;
  row->since_ns = event->at_ns;
  row->until_ns = event->at_ns + event->for_ns;
  row->ejections++;
  forget_calls(row);
  o->total[event->cause]++;
  recount(o);
  tell(o, event);
  return true;
}

static void restore(struct wr_outlier *o, struct wr_outlier_row *row, enum wr_outlier_cause cause,
                    uint64_t now_ns)
{
  struct wr_outlier_event event = {
      .at_ns = now_ns, .row = (uint32_t)(row - o->rows), .cause = (uint8_t)cause};
  row->is_ejected = false;
  row->since_ns = now_ns;
  forget_calls(row);
  recount(o);
  tell(o, &event);
}

bool wr_outlier_absolve(struct wr_outlier *o, uint32_t row, uint64_t now_ns)
{
  struct wr_outlier_row *r = &o->rows[row];
  r->consecutive = 0;
  if (!r->is_used || !r->is_ejected) return false;
  restore(o, r, WR_OUTLIER_CHECKED, now_ns);
  return true;
}

static bool judges(const struct wr_outlier_config *c)
{
  return c->consecutive > 0 || c->failure_rate > 0 || c->latency > 0;
}

void wr_outlier_reconfigure(struct wr_outlier *o, const struct wr_outlier_config *config,
                            uint64_t now_ns)
{
  o->config = *config;
  uint64_t latest = now_ns + config->window_ns;
  if (o->window_end_ns > latest) o->window_end_ns = latest;
  for (uint32_t i = 0; i < o->capacity && !judges(config); i++) {
    struct wr_outlier_row *row = &o->rows[i];
    if (row->is_used && row->is_ejected) restore(o, row, WR_OUTLIER_OFF, now_ns);
  }
}

// Judging

bool wr_outlier_add(struct wr_outlier *o, uint32_t at, const struct wr_outlier_batch *batch,
                    uint64_t now_ns)
{
  struct wr_outlier_row *row = &o->rows[at];
  if (!row->is_used || row->is_ejected || !judges(&o->config)) return false;
  if (o->window_end_ns == 0) o->window_end_ns = now_ns + o->config.window_ns;
  if (now_ns >= o->window_end_ns) wr_outlier_advance(o, now_ns);
  if (row->is_ejected) return true;
  if (o->window_end_ns == 0) o->window_end_ns = now_ns + o->config.window_ns;
  add_batch(&row->window, batch);
  if (batch->successes > 0) row->consecutive = 0;
  row->consecutive += batch->failures;
  if (o->config.consecutive == 0 || row->consecutive < o->config.consecutive) return false;
  struct wr_outlier_event event = {.at_ns = now_ns,
                                   .cause = WR_OUTLIER_CONSECUTIVE,
                                   .consecutive = row->consecutive,
                                   .calls = row->window.successes + row->window.failures,
                                   .failures = row->window.failures};
  return eject(o, row, &event);
}

static bool is_judged(const struct wr_outlier_row *row, uint32_t calls, uint32_t min_calls)
{
  return row->is_used && !row->is_ejected && calls >= min_calls;
}

static uint32_t calls_of(const struct wr_outlier_row *row)
{
  return row->window.successes + row->window.failures;
}

static double rate_of(const struct wr_outlier_row *row)
{
  return (double)row->window.failures / calls_of(row);
}

// Failure rate of all others in the window; 1 when nobody else was called: nothing to compare with.
static double rate_of_others(const struct wr_outlier *o, const struct wr_outlier_row *but)
{
  uint64_t calls = 0;
  uint64_t failures = 0;
  for (uint32_t i = 0; i < o->capacity; i++) {
    const struct wr_outlier_row *row = &o->rows[i];
    if (row == but || !row->is_used || row->is_ejected) continue;
    calls += calls_of(row);
    failures += row->window.failures;
  }
  return calls > 0 ? (double)failures / (double)calls : 1;
}

static struct wr_outlier_row *worst_rate(struct wr_outlier *o, double below)
{
  struct wr_outlier_row *worst = NULL;
  for (uint32_t i = 0; i < o->capacity; i++) {
    struct wr_outlier_row *row = &o->rows[i];
    if (!is_judged(row, calls_of(row), o->config.min_calls)) continue;
    double rate = rate_of(row);
    if (rate < o->config.failure_rate || rate >= below) continue;
    if (worst == NULL || rate > rate_of(worst)) worst = row;
  }
  return worst;
}

// The worst first, for the share may not suffice for all. One that fails no more than twice as
// often as the others is no outlier: the upstream is ill, and that is a breaker's business.
static bool judge_failures(struct wr_outlier *o, uint64_t now_ns)
{
  bool changed = false;
  double below = 2;
  struct wr_outlier_row *row;
  while (o->config.failure_rate > 0 && (row = worst_rate(o, below)) != NULL) {
    below = rate_of(row);
    struct wr_outlier_event event = {.at_ns = now_ns,
                                     .cause = WR_OUTLIER_FAILURE_RATE,
                                     .consecutive = row->consecutive,
                                     .calls = calls_of(row),
                                     .failures = row->window.failures};
    if (rate_of_others(o, row) * 2 > below) continue;
    if (!eject(o, row, &event)) break;
    changed = true;
    below = 2; // another may be as bad
  }
  return changed;
}

// The median of the members' 90th percentiles, in the buckets' numbers; 0 when too few have one.
static uint64_t median_p90(const struct wr_outlier *o)
{
  uint32_t counts[WR_OUTLIER_BUCKETS] = {0};
  uint32_t sum = 0;
  uint32_t seen = 0;
  for (uint32_t i = 0; i < o->capacity; i++) {
    const struct wr_outlier_row *row = &o->rows[i];
    if (!is_judged(row, row->window.successes, o->config.min_calls)) continue;
    counts[wr_outlier_bucket(p90(&row->window) - 1)]++;
    sum++;
  }
  if (sum < WR_OUTLIER_POOL_MIN) return 0;
  for (uint32_t i = 0; i < WR_OUTLIER_BUCKETS; i++) {
    seen += counts[i];
    if (seen * 2 >= sum) return wr_outlier_bucket_ns(i);
  }
  return 0;
}

static bool judge_latency(struct wr_outlier *o, uint64_t now_ns)
{
  bool changed = false;
  uint64_t median = o->config.latency > 0 ? median_p90(o) : 0;
  for (uint32_t i = 0; i < o->capacity && median > 0; i++) {
    struct wr_outlier_row *row = &o->rows[i];
    if (!is_judged(row, row->window.successes, o->config.min_calls)) continue;
    uint64_t own = p90(&row->window);
    bool is_slow = (double)own > o->config.latency * (double)median &&
                   own > median + WR_OUTLIER_LATENCY_MIN_NS;
    row->slow = is_slow ? row->slow + 1 : 0;
    if (row->slow < o->config.slow_windows) continue;
    struct wr_outlier_event event = {.at_ns = now_ns,
                                     .cause = WR_OUTLIER_LATENCY,
                                     .calls = calls_of(row),
                                     .failures = row->window.failures,
                                     .p90_ns = own,
                                     .median_ns = median};
    changed |= eject(o, row, &event);
  }
  return changed;
}

static bool end_window(struct wr_outlier *o, uint64_t now_ns)
{
  bool changed = judge_failures(o, now_ns);
  changed |= judge_latency(o, now_ns);
  for (uint32_t i = 0; i < o->capacity; i++) {
    memset(&o->rows[i].window, 0, sizeof(o->rows[i].window));
  }
  o->window_end_ns = 0;
  return changed;
}

bool wr_outlier_advance(struct wr_outlier *o, uint64_t now_ns)
{
  bool changed = false;
  for (uint32_t i = 0; i < o->capacity && o->ejected > 0; i++) {
    struct wr_outlier_row *row = &o->rows[i];
    if (!row->is_used || !row->is_ejected || now_ns < row->until_ns) continue;
    restore(o, row, WR_OUTLIER_ELAPSED, now_ns);
    changed = true;
  }
  if (o->window_end_ns != 0 && now_ns >= o->window_end_ns) changed |= end_window(o, now_ns);
  return changed;
}

uint64_t wr_outlier_next(const struct wr_outlier *o)
{
  uint64_t next_ns = o->window_end_ns ? o->window_end_ns : UINT64_MAX;
  for (uint32_t i = 0; i < o->capacity && o->ejected > 0; i++) {
    const struct wr_outlier_row *row = &o->rows[i];
    if (row->is_used && row->is_ejected && row->until_ns < next_ns) next_ns = row->until_ns;
  }
  return next_ns;
}

bool wr_outlier_take_event(struct wr_outlier *o, struct wr_outlier_event *out)
{
  while (o->event_count > 0) {
    *out = o->events[o->event_first];
    o->event_first = (o->event_first + 1) % WR_OUTLIER_EVENTS;
    o->event_count--;
    // One of a row that a move had no room for has nobody's name any more.
    if (out->row < o->capacity) return true;
  }
  return false;
}

static void repair_row(struct wr_outlier *o, struct wr_outlier_row *row, uint64_t now_ns)
{
  // Any byte may be in a bool.
  const unsigned char *bytes = (const unsigned char *)row;
  bool is_used = bytes[offsetof(struct wr_outlier_row, is_used)] == 1;
  bool is_ejected = bytes[offsetof(struct wr_outlier_row, is_ejected)] == 1;
  bool is_unhealthy = bytes[offsetof(struct wr_outlier_row, is_unhealthy)] == 1;
  row->is_used = is_used;
  row->is_unhealthy = is_unhealthy;
  row->is_ejected = is_ejected && row->until_ns >= row->since_ns &&
                    row->until_ns - row->since_ns <= o->config.max_ns;
  if (row->cause >= WR_OUTLIER_CAUSES) row->cause = 0;
  if (row->since_ns > now_ns) row->since_ns = now_ns;
  forget_calls(row);
}

void wr_outlier_repair(struct wr_outlier *o, uint32_t capacity, uint64_t now_ns)
{
  if (wr_outlier_config_check(&o->config) != NULL) wr_outlier_config_init(&o->config);
  o->capacity = capacity;
  o->event_first = o->event_count = 0;
  o->window_end_ns = 0;
  for (uint32_t i = 0; i < capacity; i++) repair_row(o, &o->rows[i], now_ns);
  recount(o);
}
