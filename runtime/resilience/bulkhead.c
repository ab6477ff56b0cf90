#include "resilience/bulkhead.h"

#include "base/duration.h"
#include "resilience/bulkhead_rooms.h"
#include "resilience/deadline.h"

#include <string.h>

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
  if (c->max_keys > WR_BULKHEAD_KEYS_MAX) return "max_keys must be at most 65536";
  if (c->order > WR_BULKHEAD_ADAPTIVE) return "order must be fifo or adaptive";
  if (c->target_ns > WR_DURATION_MAX) return "target must be at most 10 years";
  if (c->interval_ns > WR_DURATION_MAX) return "interval must be at most 10 years";
  return NULL;
}

void wr_bulkhead_init(struct wr_bulkhead *b, const struct wr_bulkhead_config *config,
                      uint64_t now_ns)
{
  WR_CHECK(wr_bulkhead_config_check(config) == NULL);
  memset(b, 0, wr_bulkhead_bytes(config));
  b->config = *config;
  b->all.empty_ns = now_ns;
  wr_list_init(&b->all.waiters);
}

void wr_bulkhead_reconfigure(struct wr_bulkhead *b, const struct wr_bulkhead_config *config)
{
  WR_CHECK(wr_bulkhead_config_check(config) == NULL);
  WR_CHECK(wr_bulkhead_bytes(config) == wr_bulkhead_bytes(&b->config));
  wr_bulkhead_adopt(b, config, b);
  wr_bulkhead_room_all_ready(b);
}

void wr_bulkhead_adopt(struct wr_bulkhead *b, const struct wr_bulkhead_config *config,
                       const struct wr_bulkhead *from)
{
  uint32_t ordered = from->declared_max > 0 ? from->config.max : 0;
  b->config = *config;
  b->declared_max = ordered > 0 ? config->max : 0;
  if (ordered > 0) b->config.max = ordered;
}

void wr_bulkhead_resize(struct wr_bulkhead *b, uint32_t max)
{
  WR_CHECK(max <= WR_BULKHEAD_MAX);
  uint32_t declared = b->declared_max > 0 ? b->declared_max : b->config.max;
  b->declared_max = max > 0 ? declared : 0;
  b->config.max = max > 0 ? max : declared;
  wr_bulkhead_room_all_ready(b);
}

static bool is_overloaded(const struct wr_bulkhead *b, const struct wr_bulkhead_room *room,
                          uint64_t now_ns)
{
  return b->config.order == WR_BULKHEAD_ADAPTIVE && room->queued > 0 &&
         wr_deadline_left(now_ns, room->empty_ns) > b->config.interval_ns;
}

bool wr_bulkhead_is_overloaded(const struct wr_bulkhead *b, uint64_t now_ns)
{
  return is_overloaded(b, &b->all, now_ns);
}

static bool has_room(const struct wr_bulkhead *b, const struct wr_bulkhead_room *room)
{
  return b->config.shadow || room->in_use < b->config.max;
}

// Every change of a room's numbers goes through here.
static void change(struct wr_bulkhead *b, struct wr_bulkhead_room *room, int in_use, int queued)
{
  bool was_busy = wr_bulkhead_room_is_busy(room);
  room->in_use += (uint32_t)in_use;
  room->queued += (uint32_t)queued;
  b->in_use += (uint32_t)in_use;
  b->queued += (uint32_t)queued;
  if (room == &b->all) return;
  b->keys += (uint32_t)wr_bulkhead_room_is_busy(room) - (uint32_t)was_busy;
}

static void admit(struct wr_bulkhead *b, struct wr_bulkhead_room *room)
{
  change(b, room, 1, 0);
  b->counters.admitted++;
}

// Queue

static void enqueue(struct wr_bulkhead *b, struct wr_bulkhead_room *room,
                    struct wr_bulkhead_waiter *w, uint64_t now_ns)
{
  uint64_t wait_ns = b->config.wait_ns;
  bool hurries = is_overloaded(b, room, now_ns) && b->config.target_ns < wait_ns;
  if (hurries) wait_ns = b->config.target_ns;
  w->since_ns = now_ns;
  w->until_ns = wr_deadline_nest(w->until_ns, now_ns, wait_ns);
  wr_list_push(&room->waiters, &w->link);
  change(b, room, 0, 1);
  b->counters.queued++;
}

static void take_out(struct wr_bulkhead *b, struct wr_bulkhead_waiter *w,
                     enum wr_bulkhead_result result, uint64_t now_ns)
{
  struct wr_bulkhead_room *room = wr_bulkhead_room_at(b, w->room);
  wr_list_remove(&w->link);
  w->result = (uint8_t)result;
  if (result == WR_BULKHEAD_ADMITTED) admit(b, room);
  change(b, room, 0, -1);
  if (room->queued == 0) room->empty_ns = now_ns;
  if (result == WR_BULKHEAD_EXPIRED) b->counters.expired++;
  if (result == WR_BULKHEAD_LEFT) b->counters.left++;
}

static struct wr_bulkhead_waiter *waiter_of(struct wr_list *node)
{
  return WR_CONTAINER(node, struct wr_bulkhead_waiter, link);
}

// Admission

static enum wr_bulkhead_result judge(const struct wr_bulkhead *b,
                                     const struct wr_bulkhead_room *room,
                                     const struct wr_bulkhead_waiter *waiter, uint64_t now_ns)
{
  const struct wr_bulkhead_config *c = &b->config;
  if (room->in_use < c->max && room->queued == 0) return WR_BULKHEAD_ADMITTED;
  if (waiter->until_ns == 0 || c->queue == 0 || c->wait_ns == 0) return WR_BULKHEAD_FULL;
  if (room->queued >= c->queue) return WR_BULKHEAD_QUEUE_FULL;
  return waiter->until_ns <= now_ns ? WR_BULKHEAD_EXPIRED : WR_BULKHEAD_QUEUED;
}

static enum wr_bulkhead_result try_shadow(struct wr_bulkhead *b, struct wr_bulkhead_room *room,
                                          enum wr_bulkhead_result would)
{
  if (would == WR_BULKHEAD_QUEUED) {
    b->counters.shadow_queued++;
  } else if (would != WR_BULKHEAD_ADMITTED) {
    b->counters.shadow_refused++;
  }
  admit(b, room);
  return WR_BULKHEAD_ADMITTED;
}

static void count_refusal(struct wr_bulkhead *b, enum wr_bulkhead_result result)
{
  switch (result) {
  case WR_BULKHEAD_FULL: b->counters.refused_full++; break;
  case WR_BULKHEAD_QUEUE_FULL: b->counters.refused_queue_full++; break;
  default: b->counters.expired++; break;
  }
}

enum wr_bulkhead_result wr_bulkhead_try_key(struct wr_bulkhead *b, uint64_t now_ns, uint64_t key,
                                            struct wr_bulkhead_waiter *waiter)
{
  struct wr_bulkhead_room *room = wr_bulkhead_room_take(b, key, now_ns, &waiter->room);
  if (room->queued == 0 && now_ns > room->empty_ns) room->empty_ns = now_ns;
  enum wr_bulkhead_result result = judge(b, room, waiter, now_ns);
  if (b->config.shadow) {
    result = try_shadow(b, room, result);
  } else if (result == WR_BULKHEAD_ADMITTED) {
    admit(b, room);
  } else if (result == WR_BULKHEAD_QUEUED) {
    enqueue(b, room, waiter, now_ns);
  } else {
    count_refusal(b, result);
  }
  waiter->result = (uint8_t)result;
  return result;
}

enum wr_bulkhead_result wr_bulkhead_try(struct wr_bulkhead *b, uint64_t now_ns,
                                        struct wr_bulkhead_waiter *waiter)
{
  struct wr_bulkhead_waiter nobody = {0};
  return wr_bulkhead_try_key(b, now_ns, 0, waiter ? waiter : &nobody);
}

static void release(struct wr_bulkhead *b, uint32_t number)
{
  struct wr_bulkhead_room *room = wr_bulkhead_room_at(b, number);
  WR_CHECK(room->in_use > 0);
  change(b, room, -1, 0);
  wr_bulkhead_room_ready(b, number);
}

void wr_bulkhead_release(struct wr_bulkhead *b)
{
  release(b, 0);
}

void wr_bulkhead_release_of(struct wr_bulkhead *b, const struct wr_bulkhead_waiter *waiter)
{
  release(b, waiter->room);
}

static struct wr_bulkhead_waiter *grant_in(struct wr_bulkhead *b, struct wr_bulkhead_room *room,
                                           uint64_t now_ns)
{
  if (room->queued == 0) return NULL;
  struct wr_bulkhead_waiter *oldest = waiter_of(room->waiters.next);
  struct wr_bulkhead_waiter *next = oldest;
  if (is_overloaded(b, room, now_ns)) next = waiter_of(room->waiters.prev);
  if (oldest->until_ns <= now_ns) next = oldest;
  if (next->until_ns <= now_ns) {
    take_out(b, next, WR_BULKHEAD_EXPIRED, now_ns);
    return next;
  }
  if (!has_room(b, room)) return NULL;
  take_out(b, next, WR_BULKHEAD_ADMITTED, now_ns);
  return next;
}

struct wr_bulkhead_waiter *wr_bulkhead_grant(struct wr_bulkhead *b, uint64_t now_ns)
{
  struct wr_bulkhead_waiter *told = grant_in(b, &b->all, now_ns);
  while (told == NULL && b->ready != 0) {
    told = grant_in(b, wr_bulkhead_room_at(b, b->ready), now_ns);
    if (told == NULL) wr_bulkhead_room_pop(b);
  }
  return told;
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
  if (b->declared_max > WR_BULKHEAD_MAX) b->declared_max = 0;
  uint64_t empty_ns = b->all.empty_ns;
  b->all = (struct wr_bulkhead_room){.empty_ns = empty_ns > now_ns ? now_ns : empty_ns};
  b->all.in_use = live;
  b->in_use = live;
  b->queued = 0;
  wr_list_init(&b->all.waiters);
  wr_bulkhead_room_reset(b);
}

void wr_bulkhead_recount(struct wr_bulkhead *b, const struct wr_bulkhead_waiter *waiter)
{
  change(b, wr_bulkhead_room_at(b, waiter->room), 1, 0);
}

void wr_bulkhead_requeue(struct wr_bulkhead *b, struct wr_bulkhead_waiter *waiter)
{
  struct wr_bulkhead_room *room = wr_bulkhead_room_at(b, waiter->room);
  struct wr_list *at = &room->waiters;
  while (at->prev != &room->waiters && waiter_of(at->prev)->since_ns > waiter->since_ns) {
    at = at->prev;
  }
  wr_list_push(at, &waiter->link);
  waiter->result = WR_BULKHEAD_QUEUED;
  change(b, room, 0, 1);
  wr_bulkhead_room_ready(b, waiter->room);
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
