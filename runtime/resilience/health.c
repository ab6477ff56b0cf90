#include "resilience/health.h"

#include "base/archive.h"
#include "base/check.h"
#include "base/duration.h"
#include "resilience/deadline.h"

#include <stdatomic.h>
#include <string.h>

// A check that keeps its limit has ended by then; one that does not is taken for hanging.
static uint64_t lease_of(const struct wr_health_config *c)
{
  return c->timeout_ns + WR_SECOND;
}

static void set_verdict(struct wr_health *h, enum wr_health_verdict verdict, uint64_t at_ns)
{
  atomic_store_explicit(&h->verdict, (uint32_t)verdict, memory_order_release);
  h->since_ns = at_ns;
}

static uint64_t next_due(struct wr_health *h, uint64_t now_ns)
{
  double spread = 1 + h->config.jitter * (2 * wr_rng_unit(&h->rng) - 1);
  return wr_deadline_in(now_ns, (uint64_t)((double)h->config.interval_ns * spread));
}

// Configuration

void wr_health_config_init(struct wr_health_config *config)
{
  *config = (struct wr_health_config){
      .interval_ns = 5 * WR_SECOND,
      .timeout_ns = WR_SECOND,
      .jitter = 0.1,
      .rise = 2,
      .fall = 3,
      .is_critical = 1,
  };
}

static bool is_row(uint32_t n)
{
  return n >= 1 && n <= WR_HEALTH_ROW_MAX;
}

const char *wr_health_config_check(const struct wr_health_config *c)
{
  if (c->interval_ns < WR_MS || c->interval_ns > WR_DURATION_MAX) {
    return "interval must be 1ms to 10 years";
  }
  if (c->timeout_ns < WR_MS || c->timeout_ns > WR_DURATION_MAX) {
    return "timeout must be 1ms to 10 years";
  }
  if (!(c->jitter >= 0 && c->jitter <= 1)) return "jitter must be between 0 and 1";
  if (!is_row(c->rise) || !is_row(c->fall)) return "rise and fall must be 1 to 100";
  if (c->type >= WR_HEALTH_TYPES) return "the type is unknown";
  return c->is_critical <= 1 ? NULL : "critical must be true or false";
}

// Life

void wr_health_init(struct wr_health *h, const struct wr_health_config *config, uint64_t seed,
                    uint64_t now_ns)
{
  WR_CHECK(wr_health_config_check(config) == NULL);
  *h = (struct wr_health){
      .config = *config, .is_fresh = 1, .born_ns = now_ns, .since_ns = now_ns, .due_ns = now_ns};
  wr_rng_init(&h->rng, seed);
}

void wr_health_reconfigure(struct wr_health *h, const struct wr_health_config *config,
                           uint64_t now_ns)
{
  WR_CHECK(wr_health_config_check(config) == NULL);
  bool is_other = config->target != h->config.target || config->type != h->config.type;
  h->config = *config;
  uint64_t latest = wr_deadline_in(now_ns, is_other ? 0 : config->interval_ns);
  if (h->due_ns > latest) h->due_ns = latest;
  if (!is_other) return;
  h->claim = 0; // what is under way asks the old target
  h->is_fresh = 1;
  h->good = 0;
  h->bad = 0;
}

// Turns

uint64_t wr_health_claim(struct wr_health *h, uint64_t now_ns, uint64_t *after_ns)
{
  uint64_t from_ns = h->claim ? h->claim_until_ns : h->due_ns;
  if (from_ns > now_ns) {
    *after_ns = from_ns - now_ns;
    return 0;
  }
  h->lost += h->claim != 0;
  h->claim = ++h->last_claim;
  h->claim_until_ns = wr_deadline_in(now_ns, lease_of(&h->config));
  return h->claim;
}

void wr_health_release(struct wr_health *h, uint64_t claim, uint64_t now_ns)
{
  if (claim == 0 || claim != h->claim) return;
  h->claim = 0;
  h->due_ns = h->was_lost ? next_due(h, now_ns) : now_ns;
  h->was_lost = 1;
  h->lost++;
}

// Results

static void remember(struct wr_health *h, const struct wr_health_result *result)
{
  if (h->count == WR_HEALTH_HISTORY) {
    h->first = (h->first + 1) % WR_HEALTH_HISTORY;
    h->count--;
  }
  h->history[(h->first + h->count) % WR_HEALTH_HISTORY] = *result;
  h->count++;
}

// The verdict that the results in a row demand.
static enum wr_health_verdict judge(const struct wr_health *h)
{
  if (h->good >= (h->is_fresh ? 1 : h->config.rise)) return WR_HEALTH_UP;
  if (h->bad >= (h->is_fresh ? 1 : h->config.fall)) return WR_HEALTH_DOWN;
  return wr_health_verdict(h);
}

static void copy_output(struct wr_health *h, const char *output)
{
  size_t len = output ? strlen(output) : 0;
  if (len > sizeof(h->output) - 1) len = sizeof(h->output) - 1;
  memset(h->output, 0, sizeof(h->output));
  if (len > 0) memcpy(h->output, output, len);
}

bool wr_health_report(struct wr_health *h, uint64_t claim, const struct wr_health_result *result,
                      const char *output)
{
  if (claim == 0 || claim != h->claim) return false;
  bool is_good = result->error == WR_ERROR_NONE;
  h->claim = 0;
  h->was_lost = 0;
  h->due_ns = next_due(h, result->at_ns);
  h->passed += is_good;
  h->failed += !is_good;
  h->good = is_good ? h->good + (h->good < UINT32_MAX) : 0;
  h->bad = is_good ? 0 : h->bad + (h->bad < UINT32_MAX);
  remember(h, result);
  copy_output(h, is_good ? NULL : output);
  enum wr_health_verdict verdict = judge(h);
  h->is_fresh = 0;
  if (verdict == wr_health_verdict(h)) return false;
  set_verdict(h, verdict, result->at_ns);
  h->ups += verdict == WR_HEALTH_UP;
  h->downs += verdict == WR_HEALTH_DOWN;
  return true;
}

bool wr_health_take_event(struct wr_health *h, struct wr_health_event *event)
{
  enum wr_health_verdict verdict = wr_health_verdict(h);
  if (h->told == verdict) return false;
  const struct wr_health_result *newest = wr_health_at(h, 0);
  *event = (struct wr_health_event){.at_ns = h->since_ns, .from = h->told, .to = (uint8_t)verdict};
  if (newest) event->error = newest->error;
  memcpy(event->output, h->output, sizeof(event->output));
  h->told = (uint8_t)verdict;
  return true;
}

// Questions

enum wr_health_verdict wr_health_verdict(const struct wr_health *h)
{
  return (enum wr_health_verdict)atomic_load_explicit(&h->verdict, memory_order_acquire);
}

bool wr_health_is_stale(const struct wr_health *h, uint64_t now_ns)
{
  const struct wr_health_result *newest = wr_health_at(h, 0);
  uint64_t from_ns = newest ? newest->at_ns : h->born_ns;
  uint64_t longest = 3 * h->config.interval_ns + h->config.timeout_ns;
  return wr_deadline_left(now_ns, from_ns) > longest;
}

const struct wr_health_result *wr_health_at(const struct wr_health *h, uint32_t back)
{
  if (back >= h->count) return NULL;
  return &h->history[(h->first + h->count - 1 - back) % WR_HEALTH_HISTORY];
}

// Repair

static void repair_history(struct wr_health *h, uint64_t now_ns)
{
  if (h->first >= WR_HEALTH_HISTORY || h->count > WR_HEALTH_HISTORY) {
    h->first = 0;
    h->count = 0;
  }
  for (size_t i = 0; i < WR_HEALTH_HISTORY; i++) {
    struct wr_health_result *r = &h->history[i];
    if (r->error >= WR_ERROR_KINDS) r->error = WR_ERROR_CLOSED;
    if (r->at_ns > now_ns) r->at_ns = now_ns;
  }
  h->output[sizeof(h->output) - 1] = '\0';
}

void wr_health_repair(struct wr_health *h, uint64_t now_ns)
{
  if (wr_health_config_check(&h->config) != NULL) wr_health_config_init(&h->config);
  const uint64_t *s = h->rng.s;
  if ((s[0] | s[1] | s[2] | s[3]) == 0) wr_rng_init(&h->rng, now_ns);
  if (wr_health_verdict(h) >= WR_HEALTH_VERDICTS) set_verdict(h, WR_HEALTH_UNKNOWN, now_ns);
  if (wr_health_verdict(h) == WR_HEALTH_UNKNOWN) h->is_fresh = 1;
  if (h->told >= WR_HEALTH_VERDICTS) h->told = (uint8_t)wr_health_verdict(h);
  if (h->good > 0 && h->bad > 0) h->good = 0;
  if (h->since_ns > now_ns) h->since_ns = now_ns;
  if (h->born_ns > now_ns) h->born_ns = now_ns;
  // A time past what the configuration allows would silence the check for ever.
  uint64_t latest = wr_deadline_in(now_ns, 2 * h->config.interval_ns);
  if (h->due_ns > latest) h->due_ns = now_ns;
  latest = wr_deadline_in(now_ns, lease_of(&h->config));
  if (h->claim_until_ns > latest) h->claim_until_ns = latest;
  if (h->last_claim < h->claim) h->last_claim = h->claim;
  repair_history(h, now_ns);
}

// Words

static const char *const verdicts[WR_HEALTH_VERDICTS] = {
#define WR_HEALTH_VERDICT(ENUM, name, meaning) [WR_HEALTH_##ENUM] = name,
#include "tables/states.def"
};

static const struct {
  const char *name;
  const char *component;
} types[WR_HEALTH_TYPES] = {
#define WR_HEALTH_TYPE(ENUM, name, component, meaning) [WR_HEALTH_TYPE_##ENUM] = {name, component},
#include "tables/states.def"
};

const char *wr_health_verdict_name(enum wr_health_verdict verdict)
{
  WR_CHECK(verdict < WR_HEALTH_VERDICTS);
  return verdicts[verdict];
}

const char *wr_health_type_name(enum wr_health_type type)
{
  WR_CHECK(type < WR_HEALTH_TYPES);
  return types[type].name;
}

const char *wr_health_type_component(enum wr_health_type type)
{
  WR_CHECK(type < WR_HEALTH_TYPES);
  return types[type].component;
}

// The history of single results stays behind. The next check is due when it was, or now.
void wr_health_archive(struct wr_health *h, struct wr_archive *a)
{
  uint8_t verdict = (uint8_t)wr_health_verdict(h);
  wr_archive_word(a, "verdict", &verdict, verdicts, WR_HEALTH_VERDICTS);
  wr_archive_hash(a, "target", &h->config.target);
  wr_archive_time(a, "since", &h->since_ns);
  wr_archive_u32(a, "good", &h->good);
  wr_archive_u32(a, "bad", &h->bad);
  wr_archive_u64(a, "passed", &h->passed);
  wr_archive_u64(a, "failed", &h->failed);
  wr_archive_u64(a, "lost", &h->lost);
  wr_archive_u64(a, "downs", &h->downs);
  wr_archive_u64(a, "ups", &h->ups);
  wr_archive_text(a, "output", h->output, sizeof(h->output));
  if (!wr_archive_is_reading(a)) return;
  atomic_store_explicit(&h->verdict, verdict, memory_order_release);
  h->told = verdict;
  h->is_fresh = verdict == WR_HEALTH_UNKNOWN;
}
