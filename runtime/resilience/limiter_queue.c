// Who waits: a queue for all keys in the order of arrival, each waiter with the time it is due.

#include "resilience/limiter_internal.h"

#include "base/duration.h"

#include <string.h>

static struct wr_limiter_waiter *waiter_of(struct wr_list *node)
{
  return WR_CONTAINER(node, struct wr_limiter_waiter, link);
}

enum { COST_BITS = 16 };

#define NEVER_US (UINT64_MAX >> COST_BITS)

void wr_limiter_waiter_init(struct wr_limiter_waiter *w, uint64_t key, uint32_t cost,
                            uint64_t until_ns)
{
  uint64_t until_us = until_ns == UINT64_MAX ? NEVER_US : until_ns / 1000 & NEVER_US;
  if (cost == 0) cost = 1;
  *w = (struct wr_limiter_waiter){
      .key = key,
      .until_cost = until_us << COST_BITS | (cost & WR_LIMITER_COST_MAX),
  };
}

uint64_t wr_limiter_until_ns(const struct wr_limiter_waiter *w)
{
  uint64_t until_us = w->until_cost >> COST_BITS;
  return until_us == NEVER_US ? UINT64_MAX : until_us * 1000;
}

uint32_t wr_limiter_queue_cost(const struct wr_limiter_waiter *w)
{
  return w->until_cost & WR_LIMITER_COST_MAX;
}

static uint64_t later(uint64_t a_ns, uint64_t b_ns)
{
  return a_ns > b_ns ? a_ns : b_ns;
}

static void copy_cell(const struct wr_limiter *l, struct wr_limiter_cell *to, uint64_t key,
                      uint64_t now_ns)
{
  const struct wr_limiter_cell *cell = wr_limiter_cell_find(l, key, now_ns);
  *to = (struct wr_limiter_cell){0};
  if (cell) memcpy(to, cell, wr_limiter_cell_bytes(&l->config));
}

uint64_t wr_limiter_queue_when(const struct wr_limiter *l, uint64_t key, uint32_t cost,
                               uint64_t now_ns)
{
  struct wr_limiter_cell copy;
  uint64_t at_ns = now_ns;
  copy_cell(l, &copy, key, now_ns);
  WR_LIST_EACH((struct wr_list *)&l->waiters, node) {
    const struct wr_limiter_waiter *w = waiter_of(node);
    if (w->key != key || w->due_ns == UINT64_MAX) continue;
    at_ns = later(at_ns, w->due_ns);
    wr_limiter_cell_spend(l, &copy, wr_limiter_queue_cost(w), at_ns);
  }
  return wr_limiter_cell_when(l, &copy, cost, at_ns);
}

// One that will not be admitted is to be told at once.
static void refresh_next(struct wr_limiter *l)
{
  l->next_ns = UINT64_MAX;
  WR_LIST_EACH(&l->waiters, node) {
    uint64_t due_ns = waiter_of(node)->due_ns;
    if (due_ns == UINT64_MAX) due_ns = 0;
    if (due_ns < l->next_ns) l->next_ns = due_ns;
  }
}

void wr_limiter_queue_plan(struct wr_limiter *l, uint64_t key, uint64_t now_ns)
{
  struct wr_limiter_cell copy;
  uint64_t at_ns = now_ns;
  copy_cell(l, &copy, key, now_ns);
  WR_LIST_EACH(&l->waiters, node) {
    struct wr_limiter_waiter *w = waiter_of(node);
    if (w->key != key) continue;
    uint64_t due_ns = wr_limiter_cell_when(l, &copy, wr_limiter_queue_cost(w), at_ns);
    w->due_ns = due_ns < wr_limiter_until_ns(w) ? due_ns : UINT64_MAX;
    if (w->due_ns == UINT64_MAX) continue;
    wr_limiter_cell_spend(l, &copy, wr_limiter_queue_cost(w), due_ns);
    at_ns = due_ns;
  }
  refresh_next(l);
}

void wr_limiter_queue_plan_all(struct wr_limiter *l, uint64_t now_ns)
{
  WR_LIST_EACH(&l->waiters, node) wr_limiter_queue_plan(l, waiter_of(node)->key, now_ns);
  refresh_next(l);
}

void wr_limiter_queue_add(struct wr_limiter *l, struct wr_limiter_waiter *w, uint64_t due_ns)
{
  w->due_ns = due_ns;
  wr_list_push(&l->waiters, &w->link);
  l->waiting++;
  if (due_ns < l->next_ns) l->next_ns = due_ns;
}

static void take_out(struct wr_limiter *l, struct wr_limiter_waiter *w)
{
  wr_list_remove(&w->link);
  l->waiting--;
}

void wr_limiter_leave(struct wr_limiter *l, struct wr_limiter_waiter *w, uint64_t now_ns)
{
  take_out(l, w);
  if (wr_limiter_until_ns(w) <= now_ns) {
    l->counters.expired++;
  } else {
    l->counters.left++;
  }
  wr_limiter_queue_plan(l, w->key, now_ns);
}

// Granting

// A timer comes late. What is due counts from when it was due, but at most one gap back: so a late
// timer costs no throughput, and a very late one lets no crowd through.
static uint64_t counted_from(const struct wr_limiter *l, const struct wr_limiter_waiter *w,
                             uint64_t now_ns)
{
  if (l->config.algorithm != WR_LIMITER_GCRA) return now_ns;
  uint64_t back_ns = now_ns > l->gcra.gap_ns ? now_ns - l->gcra.gap_ns : 0;
  return later(back_ns, w->due_ns);
}

static bool try_admit(struct wr_limiter *l, struct wr_limiter_waiter *w, uint64_t now_ns)
{
  struct wr_limiter_cell *cell = wr_limiter_cell_take(l, w->key, now_ns);
  uint64_t at_ns = counted_from(l, w, now_ns);
  if (wr_limiter_cell_when(l, cell, wr_limiter_queue_cost(w), at_ns) > now_ns) return false;
  wr_limiter_cell_spend(l, cell, wr_limiter_queue_cost(w), at_ns);
  return true;
}

static bool is_lost(const struct wr_limiter_waiter *w, uint64_t now_ns)
{
  return w->due_ns == UINT64_MAX || wr_limiter_until_ns(w) <= now_ns;
}

static struct wr_limiter_waiter *next_due(struct wr_limiter *l, uint64_t now_ns)
{
  WR_LIST_EACH(&l->waiters, node) {
    struct wr_limiter_waiter *w = waiter_of(node);
    if (w->due_ns <= now_ns || is_lost(w, now_ns)) return w;
  }
  return NULL;
}

struct wr_limiter_waiter *wr_limiter_grant(struct wr_limiter *l, uint64_t now_ns, bool *is_in)
{
  if (now_ns < l->next_ns) return NULL;
  struct wr_limiter_waiter *w;
  while ((w = next_due(l, now_ns)) != NULL) {
    *is_in = !is_lost(w, now_ns);
    if (*is_in && !try_admit(l, w, now_ns)) {
      wr_limiter_queue_plan(l, w->key, now_ns); // it is due later, or never
      continue;
    }
    take_out(l, w);
    if (*is_in) {
      l->counters.admitted++;
      refresh_next(l);
    } else {
      l->counters.expired++;
      wr_limiter_queue_plan(l, w->key, now_ns);
    }
    return w;
  }
  refresh_next(l);
  return NULL;
}

uint64_t wr_limiter_next_ns(const struct wr_limiter *l)
{
  return l->next_ns;
}

void wr_limiter_requeue(struct wr_limiter *l, struct wr_limiter_waiter *w)
{
  struct wr_list *at = &l->waiters;
  while (at->prev != &l->waiters && waiter_of(at->prev)->due_ns > w->due_ns) at = at->prev;
  wr_list_push(at, &w->link);
  l->waiting++;
  l->next_ns = 0;
}
