// What keys owe: one cell each, of either algorithm.

#include "resilience/limiter_internal.h"

#include "base/duration.h"
#include "resilience/deadline.h"

#include <string.h>

size_t wr_limiter_cell_bytes(const struct wr_limiter_config *config)
{
  size_t head = offsetof(struct wr_limiter_cell, debt);
  size_t debt = config->algorithm == WR_LIMITER_GCRA ? sizeof(uint64_t) : sizeof(struct wr_sliding);
  return (head + debt + 7) / 8 * 8;
}

struct wr_keyed wr_limiter_table(const struct wr_limiter *l)
{
  return (struct wr_keyed){
      .sets = wr_keyed_sets(l->config.max_keys),
      .cell_bytes = (uint32_t)wr_limiter_cell_bytes(&l->config),
      .is_busy = wr_limiter_cell_is_busy,
      .ctx = l,
      .cells = (char *)l->cells,
  };
}

static bool is_gcra(const struct wr_limiter *l)
{
  return l->config.algorithm == WR_LIMITER_GCRA;
}

static uint64_t part_of(const struct wr_limiter *l)
{
  return wr_sliding_part_ns(l->config.period_ns);
}

static uint64_t later(uint64_t a_ns, uint64_t b_ns)
{
  return a_ns > b_ns ? a_ns : b_ns;
}

bool wr_limiter_cell_is_busy(const void *cell, const void *ctx, uint64_t now_ns)
{
  const struct wr_limiter_cell *c = cell;
  const struct wr_limiter *l = ctx;
  if (c->drained_ns > now_ns) return true;
  if (is_gcra(l)) return c->debt.owed_ns > now_ns;
  return wr_sliding_used(&c->debt.sliding, part_of(l), now_ns) > 0;
}

uint64_t wr_limiter_cell_when(const struct wr_limiter *l, const struct wr_limiter_cell *cell,
                              uint32_t cost, uint64_t now_ns)
{
  static const struct wr_limiter_cell nothing;
  if (cell == NULL) cell = &nothing;
  uint64_t from_ns = later(now_ns, cell->drained_ns);
  if (is_gcra(l)) return wr_gcra_when(&l->gcra, cell->debt.owed_ns, cost, from_ns);
  return wr_sliding_when(&cell->debt.sliding, part_of(l), l->config.limit, cost, from_ns);
}

void wr_limiter_cell_spend(const struct wr_limiter *l, struct wr_limiter_cell *cell, uint32_t cost,
                           uint64_t at_ns)
{
  if (is_gcra(l)) {
    cell->debt.owed_ns = wr_gcra_spend(&l->gcra, cell->debt.owed_ns, cost, at_ns);
  } else {
    wr_sliding_spend(&cell->debt.sliding, part_of(l), cost, at_ns);
  }
}

void wr_limiter_cell_convert(const struct wr_limiter *l, struct wr_limiter_cell *to,
                             const struct wr_limiter *old, const struct wr_limiter_cell *from,
                             uint64_t now_ns)
{
  struct wr_limiter_cell c = {.head = to->head, .drained_ns = from->drained_ns};
  if (is_gcra(l) && is_gcra(old)) {
    c.debt.owed_ns = wr_gcra_rescale(&old->gcra, &l->gcra, from->debt.owed_ns, now_ns);
  } else if (is_gcra(l)) {
    uint64_t used = wr_sliding_used(&from->debt.sliding, part_of(old), now_ns);
    c.debt.owed_ns = now_ns + used * l->gcra.gap_ns;
  } else if (is_gcra(old)) {
    uint64_t used = wr_gcra_used(&old->gcra, from->debt.owed_ns, now_ns);
    wr_sliding_spend(&c.debt.sliding, part_of(l), (uint32_t)used, now_ns);
  } else {
    c.debt.sliding = from->debt.sliding;
    wr_sliding_rescale(&c.debt.sliding, part_of(old), part_of(l), now_ns);
  }
  memcpy(to, &c, wr_limiter_cell_bytes(&l->config));
}

void wr_limiter_cell_merge(const struct wr_limiter *l, struct wr_limiter_cell *to,
                           const struct wr_limiter_cell *other, uint64_t now_ns)
{
  to->drained_ns = later(to->drained_ns, other->drained_ns);
  if (is_gcra(l)) {
    to->debt.owed_ns = later(to->debt.owed_ns, other->debt.owed_ns);
  } else {
    wr_sliding_merge(&to->debt.sliding, &other->debt.sliding, part_of(l), now_ns);
  }
}

struct wr_limiter_cell *wr_limiter_cell_find(const struct wr_limiter *l, uint64_t key,
                                             uint64_t now_ns)
{
  if (l->config.max_keys == 0 || key == 0) return (struct wr_limiter_cell *)&l->all;
  struct wr_keyed table = wr_limiter_table(l);
  return wr_keyed_find(&table, key, now_ns);
}

struct wr_limiter_cell *wr_limiter_cell_take(struct wr_limiter *l, uint64_t key, uint64_t now_ns)
{
  if (l->config.max_keys == 0 || key == 0) return &l->all;
  struct wr_keyed table = wr_limiter_table(l);
  struct wr_keyed_found found = wr_keyed_take(&table, key, now_ns);
  l->keys += found.is_first;
  return found.cell;
}

void wr_limiter_cell_repair(const struct wr_limiter *l, struct wr_limiter_cell *cell,
                            uint64_t now_ns)
{
  uint64_t drained_ns = wr_deadline_in(now_ns, WR_LIMITER_DRAIN_MAX);
  if (cell->drained_ns > drained_ns) cell->drained_ns = drained_ns;
  if (l->config.algorithm == WR_LIMITER_GCRA) {
    uint64_t most_ns = l->gcra.slack_ns + l->gcra.gap_ns + WR_LIMITER_WAIT_MAX;
    uint64_t owed_ns = wr_deadline_in(now_ns, most_ns);
    if (cell->debt.owed_ns > owed_ns) cell->debt.owed_ns = owed_ns;
  } else {
    wr_sliding_repair(&cell->debt.sliding, wr_sliding_part_ns(l->config.period_ns), now_ns);
  }
}

// Moving to a table of another size

// Keys of one old set lie in a range of new ones: what its keys shared is owed in all of these.
static void move_shared(struct wr_limiter *to, const struct wr_limiter *from,
                        const struct wr_limiter_cell *cell, uint64_t now_ns)
{
  struct wr_keyed table = wr_limiter_table(to);
  uint64_t old_sets = wr_keyed_sets(from->config.max_keys);
  uint64_t first = (cell->head.key - 1) * table.sets / old_sets;
  uint64_t last = (cell->head.key * table.sets - 1) / old_sets;
  struct wr_limiter_cell converted;
  wr_limiter_cell_convert(to, &converted, from, cell, now_ns);
  for (uint64_t set = first; set <= last; set++) {
    wr_limiter_cell_merge(to, wr_limiter_cell_take(to, set + 1, now_ns), &converted, now_ns);
  }
}

static void move_cells(struct wr_limiter *to, const struct wr_limiter *from, uint64_t now_ns)
{
  struct wr_keyed table = wr_limiter_table(from);
  uint32_t at = 0;
  const struct wr_limiter_cell *cell;
  // Shared ones last: while they are busy no key gets a cell of its own.
  while ((cell = wr_keyed_each(&table, &at)) != NULL) {
    if (wr_limiter_cell_is_shared(cell) || !wr_limiter_cell_is_busy(cell, from, now_ns)) continue;
    struct wr_limiter_cell converted;
    wr_limiter_cell_convert(to, &converted, from, cell, now_ns);
    struct wr_limiter_cell *place = wr_limiter_cell_take(to, cell->head.key, now_ns);
    wr_limiter_cell_merge(to, place, &converted, now_ns);
  }
  at = 0;
  while ((cell = wr_keyed_each(&table, &at)) != NULL) {
    if (wr_limiter_cell_is_shared(cell) && wr_limiter_cell_is_busy(cell, from, now_ns)) {
      move_shared(to, from, cell, now_ns);
    }
  }
}

static void move_queue(struct wr_limiter *to, const struct wr_limiter *from)
{
  wr_list_init(&to->waiters);
  if (wr_list_is_empty(&from->waiters)) return;
  to->waiters = from->waiters;
  to->waiters.next->prev = &to->waiters;
  to->waiters.prev->next = &to->waiters;
  uint64_t old_sets = wr_keyed_sets(from->config.max_keys);
  uint64_t sets = wr_keyed_sets(to->config.max_keys);
  WR_LIST_EACH(&to->waiters, node) {
    struct wr_limiter_waiter *w = WR_CONTAINER(node, struct wr_limiter_waiter, link);
    if (w->key == 0 || wr_keyed_key(w->key) == w->key) continue;
    w->key = sets ? (w->key - 1) * sets / old_sets + 1 : 0;
  }
}

void wr_limiter_move(struct wr_limiter *to, const struct wr_limiter *from,
                     const struct wr_limiter_config *config, uint64_t now_ns)
{
  struct wr_limiter order = {0};
  uint32_t limit = from->declared_limit > 0 ? from->config.limit : 0;
  struct wr_limiter_config in_force = wr_limiter_adopt_order(&order, config, limit);
  wr_limiter_init(to, &in_force);
  to->declared_limit = order.declared_limit;
  to->declared_burst = order.declared_burst;
  to->counters = from->counters;
  to->refused = from->refused;
  to->waiting = from->waiting;
  wr_limiter_cell_convert(to, &to->all, from, &from->all, now_ns);
  if (config->max_keys > 0 && from->config.max_keys > 0) move_cells(to, from, now_ns);
  move_queue(to, from);
  wr_limiter_queue_plan_all(to, now_ns);
}
