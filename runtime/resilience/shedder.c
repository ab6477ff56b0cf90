#include "resilience/shedder.h"

#include "base/archive.h"
#include "base/duration.h"
#include "resilience/deadline.h"

#include <string.h>

enum { HURRY = 20 }; // a call that joins a standing queue waits for a share of the time

void wr_shedder_config_init(struct wr_shedder_config *config)
{
  memset(config, 0, sizeof(*config));
  wr_adaptive_config_init(&config->limit);
  config->queue = 64;
  config->wait_ns = 100 * WR_MS;
}

const char *wr_shedder_config_check(const struct wr_shedder_config *c)
{
  if (c->queue > WR_SHEDDER_QUEUE_MAX) return "queue must be 0 to 65536";
  if (c->wait_ns > WR_DURATION_MAX) return "wait must be at most 10 years";
  const char *problem = wr_adaptive_config_check(&c->limit);
  return problem ? problem : wr_overload_config_check(&c->overload);
}

static void clear_queues(struct wr_shedder *s)
{
  s->queued = 0;
  wr_list_init(&s->preempted);
  for (int i = 0; i < WR_PRIORITIES; i++) wr_list_init(&s->waiters[i]);
}

void wr_shedder_init(struct wr_shedder *s, const struct wr_shedder_config *config, uint64_t seed,
                     uint64_t now_ns)
{
  WR_CHECK(wr_shedder_config_check(config) == NULL);
  memset(s, 0, sizeof(*s));
  s->config = *config;
  wr_adaptive_init(&s->adaptive, &config->limit, seed);
  clear_queues(s);
  for (int i = 0; i < WR_PRIORITIES; i++) s->empty_ns[i] = now_ns;
}

void wr_shedder_reconfigure(struct wr_shedder *s, const struct wr_shedder_config *config)
{
  WR_CHECK(wr_shedder_config_check(config) == NULL);
  wr_adaptive_reconfigure(&s->adaptive, &s->config.limit, &config->limit);
  s->config = *config;
}

uint32_t wr_shedder_limit(const struct wr_shedder *s)
{
  return wr_adaptive_limit(&s->adaptive);
}

void wr_shedder_feed(struct wr_shedder *s, const struct wr_overload_signals *signals,
                     uint64_t now_ns)
{
  if (!wr_overload_is_on(&s->config.overload)) return;
  wr_overload_feed(&s->overload, wr_overload_pressure(&s->config.overload, signals), now_ns);
}

bool wr_shedder_is_standing(const struct wr_shedder *s, enum wr_priority priority, uint64_t now_ns)
{
  return !wr_list_is_empty(&s->waiters[priority]) &&
         wr_deadline_left(now_ns, s->empty_ns[priority]) > s->config.wait_ns;
}

uint64_t wr_shedder_shed(const struct wr_shedder *s, enum wr_priority priority)
{
  uint64_t count = 0;
  for (int result = WR_SHEDDER_FULL; result < WR_SHEDDER_RESULTS; result++) {
    count += s->calls[result][priority];
  }
  return count;
}

static struct wr_shedder_waiter *waiter_of(struct wr_list *node)
{
  return WR_CONTAINER(node, struct wr_shedder_waiter, link);
}

static bool has_room(const struct wr_shedder *s)
{
  return s->config.shadow || s->in_use < wr_shedder_limit(s);
}

// Queue

static void count(struct wr_shedder *s, struct wr_shedder_waiter *w, enum wr_shedder_result result)
{
  w->result = (uint8_t)result;
  s->calls[result][w->priority]++;
}

static void admit(struct wr_shedder *s, struct wr_shedder_waiter *w, uint64_t now_ns)
{
  s->in_use++;
  w->since_ns = now_ns;
  w->answered_ns = 0;
  count(s, w, WR_SHEDDER_ADMITTED);
}

static void enqueue(struct wr_shedder *s, struct wr_shedder_waiter *w, uint64_t now_ns)
{
  const struct wr_shedder_config *c = &s->config;
  if (wr_list_is_empty(&s->waiters[w->priority])) s->empty_ns[w->priority] = now_ns;
  bool hurries = wr_shedder_is_standing(s, (enum wr_priority)w->priority, now_ns);
  uint64_t wait_ns = hurries ? c->wait_ns / HURRY : c->wait_ns;
  w->since_ns = now_ns;
  w->until_ns = wr_deadline_nest(w->until_ns, now_ns, wait_ns);
  wr_list_push(&s->waiters[w->priority], &w->link);
  s->queued++;
  count(s, w, WR_SHEDDER_QUEUED);
}

static void take_out(struct wr_shedder *s, struct wr_shedder_waiter *w, uint64_t now_ns)
{
  wr_list_remove(&w->link);
  s->queued--;
  if (wr_list_is_empty(&s->waiters[w->priority])) s->empty_ns[w->priority] = now_ns;
}

// The newest of the lowest class below `priority`: it has waited least. NULL when nobody is lower.
static struct wr_shedder_waiter *find_lower(struct wr_shedder *s, int priority)
{
  for (int i = WR_PRIORITIES - 1; i > priority; i--) {
    if (!wr_list_is_empty(&s->waiters[i])) return waiter_of(s->waiters[i].prev);
  }
  return NULL;
}

static void preempt(struct wr_shedder *s, struct wr_shedder_waiter *w, uint64_t now_ns)
{
  take_out(s, w, now_ns);
  count(s, w, WR_SHEDDER_PREEMPTED);
  wr_list_push(&s->preempted, &w->link);
}

// Admission

static enum wr_shedder_result judge(struct wr_shedder *s, const struct wr_shedder_waiter *w,
                                    uint64_t now_ns)
{
  const struct wr_shedder_config *c = &s->config;
  if (wr_overload_is_on(&c->overload) &&
      wr_overload_sheds(&s->overload, (enum wr_priority)w->priority)) {
    return WR_SHEDDER_OVERLOADED;
  }
  if (s->in_use < wr_shedder_limit(s) && s->queued == 0) return WR_SHEDDER_ADMITTED;
  if (w->until_ns == 0 || c->queue == 0 || c->wait_ns == 0) return WR_SHEDDER_FULL;
  if (w->until_ns <= now_ns) return WR_SHEDDER_EXPIRED;
  bool has_place = s->queued < c->queue || find_lower(s, w->priority);
  return has_place ? WR_SHEDDER_QUEUED : WR_SHEDDER_QUEUE_FULL;
}

enum wr_shedder_result wr_shedder_try(struct wr_shedder *s, struct wr_shedder_waiter *w,
                                      uint64_t now_ns)
{
  WR_CHECK(w->priority < WR_PRIORITIES);
  enum wr_shedder_result result = judge(s, w, now_ns);
  if (s->config.shadow && result != WR_SHEDDER_ADMITTED) {
    s->shadow[result][w->priority]++;
    result = WR_SHEDDER_ADMITTED;
  }
  if (result == WR_SHEDDER_ADMITTED) {
    admit(s, w, now_ns);
  } else if (result == WR_SHEDDER_QUEUED) {
    struct wr_shedder_waiter *lower = find_lower(s, w->priority);
    if (s->queued >= s->config.queue && lower) preempt(s, lower, now_ns);
    enqueue(s, w, now_ns);
  } else {
    count(s, w, result);
  }
  return result;
}

void wr_shedder_release(struct wr_shedder *s, const struct wr_shedder_waiter *w,
                        enum wr_outcome outcome, uint64_t now_ns)
{
  WR_CHECK(s->in_use > 0);
  if (outcome == WR_OUTCOME_SUCCESS || outcome == WR_OUTCOME_FAILURE) {
    uint64_t answered_ns = w->answered_ns ? w->answered_ns : now_ns;
    struct wr_adaptive_call call = {.latency_ns = wr_deadline_left(answered_ns, w->since_ns),
                                    .inflight = s->in_use,
                                    .is_good = outcome == WR_OUTCOME_SUCCESS};
    wr_adaptive_sample(&s->adaptive, &s->config.limit, now_ns, &call);
  }
  s->in_use--;
}

// The next of one class: its oldest, in a standing queue its newest; first those whose time is
// over.
static struct wr_shedder_waiter *next_of(struct wr_shedder *s, int priority, uint64_t now_ns)
{
  struct wr_list *head = &s->waiters[priority];
  struct wr_shedder_waiter *oldest = waiter_of(head->next);
  bool is_standing = wr_shedder_is_standing(s, (enum wr_priority)priority, now_ns);
  return is_standing && oldest->until_ns > now_ns ? waiter_of(head->prev) : oldest;
}

struct wr_shedder_waiter *wr_shedder_grant(struct wr_shedder *s, uint64_t now_ns)
{
  struct wr_list *node = wr_list_pop(&s->preempted);
  if (node) return waiter_of(node);
  for (int i = 0; i < WR_PRIORITIES; i++) {
    if (wr_list_is_empty(&s->waiters[i])) continue;
    struct wr_shedder_waiter *next = next_of(s, i, now_ns);
    if (next->until_ns <= now_ns) {
      take_out(s, next, now_ns);
      count(s, next, WR_SHEDDER_EXPIRED);
      return next;
    }
    if (!has_room(s)) return NULL;
    take_out(s, next, now_ns);
    admit(s, next, now_ns);
    return next;
  }
  return NULL;
}

bool wr_shedder_leave(struct wr_shedder *s, struct wr_shedder_waiter *w, uint64_t now_ns)
{
  if (w->result != WR_SHEDDER_QUEUED) return false;
  bool is_late = w->until_ns <= now_ns;
  take_out(s, w, now_ns);
  count(s, w, is_late ? WR_SHEDDER_EXPIRED : WR_SHEDDER_LEFT);
  return true;
}

// Repair

void wr_shedder_repair(struct wr_shedder *s, uint32_t live, uint64_t now_ns)
{
  if (wr_shedder_config_check(&s->config) != NULL) wr_shedder_config_init(&s->config);
  wr_adaptive_repair(&s->adaptive, &s->config.limit, now_ns);
  wr_overload_repair(&s->overload, now_ns);
  s->in_use = live;
  clear_queues(s);
  for (int i = 0; i < WR_PRIORITIES; i++) {
    if (s->empty_ns[i] > now_ns) s->empty_ns[i] = now_ns;
  }
}

void wr_shedder_requeue(struct wr_shedder *s, struct wr_shedder_waiter *w)
{
  if (w->priority >= WR_PRIORITIES) w->priority = WR_PRIORITY_NORMAL;
  struct wr_list *head = &s->waiters[w->priority];
  struct wr_list *at = head;
  while (at->prev != head && waiter_of(at->prev)->since_ns > w->since_ns) at = at->prev;
  wr_list_push(at, &w->link);
  w->result = WR_SHEDDER_QUEUED;
  s->queued++;
}

static const char *const results[WR_SHEDDER_RESULTS] = {
#define WR_SHEDDER_RESULT(ENUM, name, meaning) [WR_SHEDDER_##ENUM] = name,
#include "tables/states.def"
};

const char *wr_shedder_result_name(enum wr_shedder_result result)
{
  WR_CHECK(result < WR_SHEDDER_RESULTS);
  return results[result];
}

void wr_shedder_archive(struct wr_shedder *s, struct wr_archive *a)
{
  wr_adaptive_archive(&s->adaptive, s->config.limit.rule, a);
}
