#include "resilience/bulkhead.h"

#include "base/duration.h"
#include "resilience/deadline.h"

void wr_bulkhead_config_init(struct wr_bulkhead_config *config)
{
  *config = (struct wr_bulkhead_config){
      .max = 64,
      .queue = 32,
      .wait_ns = 50 * WR_MS,
      .order = WR_BULKHEAD_FIFO,
      .target_ns = 5 * WR_MS,
      .interval_ns = 100 * WR_MS,
  };
}

const char *wr_bulkhead_config_check(const struct wr_bulkhead_config *c)
{
  if (c->max < 1 || c->max > WR_BULKHEAD_MAX) return "max must be 1 to 1000000";
  if (c->queue > WR_BULKHEAD_QUEUE_MAX) return "queue must be 0 to 65536";
  if (c->wait_ns > WR_DURATION_MAX) return "wait must be at most 10 years";
  if (c->order > WR_BULKHEAD_ADAPTIVE) return "order must be fifo or adaptive";
  if (c->target_ns > WR_DURATION_MAX) return "target must be at most 10 years";
  if (c->interval_ns > WR_DURATION_MAX) return "interval must be at most 10 years";
  return NULL;
}

void wr_bulkhead_init(struct wr_bulkhead *b, const struct wr_bulkhead_config *config,
                      uint64_t now_ns)
{
  WR_CHECK(wr_bulkhead_config_check(config) == NULL);
  *b = (struct wr_bulkhead){.config = *config, .empty_ns = now_ns};
  wr_list_init(&b->waiters);
}

void wr_bulkhead_reconfigure(struct wr_bulkhead *b, const struct wr_bulkhead_config *config)
{
  WR_CHECK(wr_bulkhead_config_check(config) == NULL);
  b->config = *config;
}

bool wr_bulkhead_is_overloaded(const struct wr_bulkhead *b, uint64_t now_ns)
{
  return b->config.order == WR_BULKHEAD_ADAPTIVE && b->queued > 0 &&
         wr_deadline_left(now_ns, b->empty_ns) > b->config.interval_ns;
}

static bool has_room(const struct wr_bulkhead *b)
{
  return b->config.shadow || b->in_use < b->config.max;
}

static void admit(struct wr_bulkhead *b)
{
  b->in_use++;
  b->counters.admitted++;
}

// Queue

static void enqueue(struct wr_bulkhead *b, struct wr_bulkhead_waiter *w, uint64_t now_ns)
{
  uint64_t wait_ns = b->config.wait_ns;
  bool hurries = wr_bulkhead_is_overloaded(b, now_ns) && b->config.target_ns < wait_ns;
  if (hurries) wait_ns = b->config.target_ns;
  w->since_ns = now_ns;
  w->until_ns = wr_deadline_nest(w->until_ns, now_ns, wait_ns);
  w->result = WR_BULKHEAD_QUEUED;
  wr_list_push(&b->waiters, &w->link);
  b->queued++;
  b->counters.queued++;
}

static void take_out(struct wr_bulkhead *b, struct wr_bulkhead_waiter *w,
                     enum wr_bulkhead_result result, uint64_t now_ns)
{
  wr_list_remove(&w->link);
  b->queued--;
  if (b->queued == 0) b->empty_ns = now_ns;
  w->result = (uint8_t)result;
  if (result == WR_BULKHEAD_ADMITTED) admit(b);
  if (result == WR_BULKHEAD_EXPIRED) b->counters.expired++;
  if (result == WR_BULKHEAD_LEFT) b->counters.left++;
}

static struct wr_bulkhead_waiter *waiter_of(struct wr_list *node)
{
  return WR_CONTAINER(node, struct wr_bulkhead_waiter, link);
}

// Admission

static enum wr_bulkhead_result refusal(const struct wr_bulkhead *b, uint64_t now_ns,
                                       const struct wr_bulkhead_waiter *waiter)
{
  if (waiter == NULL || b->config.queue == 0 || b->config.wait_ns == 0) return WR_BULKHEAD_FULL;
  if (b->queued >= b->config.queue) return WR_BULKHEAD_QUEUE_FULL;
  return waiter->until_ns <= now_ns ? WR_BULKHEAD_EXPIRED : WR_BULKHEAD_QUEUED;
}

static enum wr_bulkhead_result try_shadow(struct wr_bulkhead *b, enum wr_bulkhead_result would)
{
  if (would == WR_BULKHEAD_QUEUED) {
    b->counters.shadow_queued++;
  } else if (would != WR_BULKHEAD_ADMITTED) {
    b->counters.shadow_refused++;
  }
  admit(b);
  return WR_BULKHEAD_ADMITTED;
}

static enum wr_bulkhead_result try_enforced(struct wr_bulkhead *b, enum wr_bulkhead_result would,
                                            struct wr_bulkhead_waiter *waiter, uint64_t now_ns)
{
  switch (would) {
  case WR_BULKHEAD_ADMITTED: admit(b); break;
  case WR_BULKHEAD_QUEUED: enqueue(b, waiter, now_ns); break;
  case WR_BULKHEAD_FULL: b->counters.refused_full++; break;
  case WR_BULKHEAD_QUEUE_FULL: b->counters.refused_queue_full++; break;
  default: b->counters.expired++; break;
  }
  return would;
}

enum wr_bulkhead_result wr_bulkhead_try(struct wr_bulkhead *b, uint64_t now_ns,
                                        struct wr_bulkhead_waiter *waiter)
{
  if (b->queued == 0 && now_ns > b->empty_ns) b->empty_ns = now_ns;
  bool is_free = b->in_use < b->config.max && b->queued == 0;
  enum wr_bulkhead_result would = is_free ? WR_BULKHEAD_ADMITTED : refusal(b, now_ns, waiter);
  enum wr_bulkhead_result result =
      b->config.shadow ? try_shadow(b, would) : try_enforced(b, would, waiter, now_ns);
  if (waiter != NULL) waiter->result = (uint8_t)result;
  return result;
}

void wr_bulkhead_release(struct wr_bulkhead *b)
{
  WR_CHECK(b->in_use > 0);
  b->in_use--;
}

struct wr_bulkhead_waiter *wr_bulkhead_grant(struct wr_bulkhead *b, uint64_t now_ns)
{
  if (wr_list_is_empty(&b->waiters)) return NULL;
  struct wr_bulkhead_waiter *oldest = waiter_of(b->waiters.next);
  struct wr_bulkhead_waiter *next = oldest;
  if (wr_bulkhead_is_overloaded(b, now_ns)) next = waiter_of(b->waiters.prev);
  if (oldest->until_ns <= now_ns) next = oldest;
  if (next->until_ns <= now_ns) {
    take_out(b, next, WR_BULKHEAD_EXPIRED, now_ns);
    return next;
  }
  if (!has_room(b)) return NULL;
  take_out(b, next, WR_BULKHEAD_ADMITTED, now_ns);
  return next;
}

bool wr_bulkhead_leave(struct wr_bulkhead *b, struct wr_bulkhead_waiter *waiter, uint64_t now_ns)
{
  if (waiter->result != WR_BULKHEAD_QUEUED) return false;
  bool is_late = waiter->until_ns <= now_ns;
  take_out(b, waiter, is_late ? WR_BULKHEAD_EXPIRED : WR_BULKHEAD_LEFT, now_ns);
  return true;
}

// Repair

void wr_bulkhead_repair(struct wr_bulkhead *b, uint32_t live, uint64_t now_ns)
{
  if (wr_bulkhead_config_check(&b->config) != NULL) wr_bulkhead_config_init(&b->config);
  b->in_use = live;
  b->queued = 0;
  if (b->empty_ns > now_ns) b->empty_ns = now_ns;
  wr_list_init(&b->waiters);
}

void wr_bulkhead_requeue(struct wr_bulkhead *b, struct wr_bulkhead_waiter *waiter)
{
  struct wr_list *at = &b->waiters;
  while (at->prev != &b->waiters && waiter_of(at->prev)->since_ns > waiter->since_ns) {
    at = at->prev;
  }
  wr_list_push(at, &waiter->link);
  waiter->result = WR_BULKHEAD_QUEUED;
  b->queued++;
}

static const char *const results[WR_BULKHEAD_RESULTS] = {
#define WR_BULKHEAD_RESULT(ENUM, name, meaning) [WR_BULKHEAD_##ENUM] = name,
#include "tables/states.def"
};

const char *wr_bulkhead_result_name(enum wr_bulkhead_result result)
{
  WR_CHECK(result < WR_BULKHEAD_RESULTS);
  return results[result];
}
