#include "resilience/limiter.h"

#include "base/check.h"
#include "base/duration.h"
#include "resilience/deadline.h"
#include "resilience/limiter_internal.h"

#include <string.h>

_Static_assert(offsetof(struct wr_limiter_cell, head) == 0, "a cell begins with its key");

// Configuration

void wr_limiter_config_init(struct wr_limiter_config *config)
{
  *config = (struct wr_limiter_config){.period_ns = WR_SECOND, .limit = 100, .burst = 100};
}

const char *wr_limiter_config_check(const struct wr_limiter_config *c)
{
  if (c->limit < 1 || c->limit > WR_LIMITER_CALLS_MAX) return "limit must be 1 to 1000000";
  if (c->burst < 1 || c->burst > WR_LIMITER_CALLS_MAX) return "burst must be 1 to 1000000";
  if (c->period_ns < WR_MS || c->period_ns > 366 * 24 * 3600 * WR_SECOND) {
    return "the time of rate must be 1 ms to 366 days";
  }
  if (c->period_ns / c->limit < 1000) return "rate must be at most 1000000/s";
  uint64_t gap_ns = c->period_ns / c->limit + 1;
  if (gap_ns * c->burst > WR_DURATION_MAX) return "burst must be worth at most 10 years of rate";
  if (c->max_keys > WR_LIMITER_KEYS_MAX) return "max_keys must be at most 1048576";
  if (c->algorithm > WR_LIMITER_SLIDING) return "algorithm must be gcra or sliding_window";
  if (c->algorithm == WR_LIMITER_SLIDING && c->period_ns < WR_SECOND) {
    return "the time of rate must be at least 1 s for sliding_window";
  }
  return NULL;
}

size_t wr_limiter_bytes(const struct wr_limiter_config *config)
{
  uint32_t sets = wr_keyed_sets(config->max_keys);
  return sizeof(struct wr_limiter) + wr_keyed_bytes(sets, wr_limiter_cell_bytes(config));
}

static void adopt(struct wr_limiter *l, const struct wr_limiter_config *config)
{
  WR_CHECK(wr_limiter_config_check(config) == NULL);
  l->config = *config;
  l->gcra = wr_gcra_of(config->period_ns, config->limit, config->burst);
}

void wr_limiter_init(struct wr_limiter *l, const struct wr_limiter_config *config)
{
  *l = (struct wr_limiter){0};
  adopt(l, config);
  l->next_ns = UINT64_MAX;
  wr_list_init(&l->waiters);
}

// What is in force when `limit` is ordered and `declared` is what the policy says; the burst keeps
// its share.
static struct wr_limiter_config ordered(const struct wr_limiter_config *declared, uint32_t limit)
{
  struct wr_limiter_config c = *declared;
  uint64_t burst = (uint64_t)declared->burst * limit / declared->limit;
  c.limit = limit;
  c.burst = burst < 1 ? 1 : burst > WR_LIMITER_CALLS_MAX ? WR_LIMITER_CALLS_MAX : (uint32_t)burst;
  return c;
}

struct wr_limiter_config wr_limiter_adopt_order(struct wr_limiter *l,
                                                const struct wr_limiter_config *declared,
                                                uint32_t limit)
{
  struct wr_limiter_config c = limit > 0 ? ordered(declared, limit) : *declared;
  bool fits = limit > 0 && wr_limiter_config_check(&c) == NULL;
  l->declared_limit = fits ? declared->limit : 0;
  l->declared_burst = fits ? declared->burst : 0;
  return fits ? c : *declared;
}

// Whether debts mean the same under both.
static bool is_same_rate(const struct wr_limiter_config *a, const struct wr_limiter_config *b)
{
  return a->period_ns == b->period_ns && a->limit == b->limit && a->algorithm == b->algorithm;
}

static void change(struct wr_limiter *l, const struct wr_limiter_config *config, uint64_t now_ns)
{
  struct wr_limiter old = *l;
  adopt(l, config);
  if (is_same_rate(&old.config, config)) {
    wr_limiter_queue_plan_all(l, now_ns);
    return;
  }
  wr_limiter_cell_convert(l, &l->all, &old, &old.all, now_ns);
  struct wr_keyed table = wr_limiter_table(l);
  uint32_t at = 0;
  struct wr_limiter_cell *cell;
  while ((cell = wr_keyed_each(&table, &at)) != NULL) {
    wr_limiter_cell_convert(l, cell, &old, cell, now_ns);
  }
  wr_limiter_queue_plan_all(l, now_ns);
}

void wr_limiter_reconfigure(struct wr_limiter *l, const struct wr_limiter_config *config,
                            uint64_t now_ns)
{
  WR_CHECK(wr_limiter_bytes(config) <= wr_limiter_bytes(&l->config));
  uint32_t limit = l->declared_limit > 0 ? l->config.limit : 0;
  struct wr_limiter_config in_force = wr_limiter_adopt_order(l, config, limit);
  change(l, &in_force, now_ns);
}

bool wr_limiter_resize(struct wr_limiter *l, uint32_t limit, uint64_t now_ns)
{
  struct wr_limiter_config declared = l->config;
  if (l->declared_limit > 0) {
    declared.limit = l->declared_limit;
    declared.burst = l->declared_burst;
  }
  struct wr_limiter_config wanted = limit > 0 ? ordered(&declared, limit) : declared;
  if (wr_limiter_config_check(&wanted) != NULL) return false;
  wanted = wr_limiter_adopt_order(l, &declared, limit);
  change(l, &wanted, now_ns);
  return true;
}

// Asking

// Where a call pays, and waits: a key that shares a cell does both there.
struct place {
  uint64_t key;                 // as the cell bears it
  struct wr_limiter_cell *cell; // NULL: none yet, it owes nothing
};

static struct place place_of(const struct wr_limiter *l, uint64_t hash, uint64_t now_ns)
{
  if (l->config.max_keys == 0 || hash == 0) return (struct place){0, (void *)&l->all};
  uint64_t key = wr_keyed_key(hash);
  struct wr_limiter_cell *cell = wr_limiter_cell_find(l, key, now_ns);
  return (struct place){cell ? cell->head.key : key, cell};
}

static uint64_t when(const struct wr_limiter *l, struct place place, uint32_t cost, uint64_t now_ns)
{
  if (l->waiting > 0) return wr_limiter_queue_when(l, place.key, cost, now_ns);
  return wr_limiter_cell_when(l, place.cell, cost, now_ns);
}

static enum wr_limiter_result admit(struct wr_limiter *l, struct place place, uint32_t cost,
                                    uint64_t now_ns)
{
  if (place.cell == NULL) place.cell = wr_limiter_cell_take(l, place.key, now_ns);
  wr_limiter_cell_spend(l, place.cell, cost, now_ns);
  l->counters.admitted++;
  l->counters.shared += wr_limiter_cell_is_shared(place.cell);
  return WR_LIMITER_ADMITTED;
}

static enum wr_limiter_result refuse(struct wr_limiter *l, uint64_t key,
                                     enum wr_limiter_result result, uint64_t now_ns)
{
  wr_toplist_count(&l->refused, key, now_ns);
  if (l->config.shadow) {
    l->counters.admitted++;
    l->counters.shadow_refused++;
    return WR_LIMITER_ADMITTED;
  }
  l->counters.refused++;
  return result;
}

enum wr_limiter_result wr_limiter_try(struct wr_limiter *l, uint64_t key, uint32_t cost,
                                      uint64_t now_ns, uint64_t *after_ns)
{
  if (cost == 0) cost = 1;
  struct place place = place_of(l, key, now_ns);
  uint64_t due_ns = when(l, place, cost, now_ns);
  *after_ns = due_ns == UINT64_MAX ? 0 : due_ns - now_ns;
  if (due_ns <= now_ns) return admit(l, place, cost, now_ns);
  bool is_never = due_ns == UINT64_MAX;
  return refuse(l, key, is_never ? WR_LIMITER_TOO_COSTLY : WR_LIMITER_LIMITED, now_ns);
}

enum wr_limiter_result wr_limiter_wait(struct wr_limiter *l, struct wr_limiter_waiter *w,
                                       uint64_t now_ns, uint64_t *after_ns)
{
  uint32_t cost = wr_limiter_queue_cost(w);
  struct place place = place_of(l, w->key, now_ns);
  uint64_t due_ns = when(l, place, cost, now_ns);
  *after_ns = due_ns == UINT64_MAX ? 0 : due_ns - now_ns;
  if (due_ns <= now_ns) return admit(l, place, cost, now_ns);
  if (due_ns == UINT64_MAX) return refuse(l, w->key, WR_LIMITER_TOO_COSTLY, now_ns);
  uint64_t most_ns = wr_deadline_in(now_ns, WR_LIMITER_WAIT_MAX);
  if (due_ns >= wr_limiter_until_ns(w) || due_ns >= most_ns) {
    return refuse(l, w->key, WR_LIMITER_LIMITED, now_ns);
  }
  if (l->waiting >= WR_LIMITER_WAITING_MAX) {
    return refuse(l, w->key, WR_LIMITER_QUEUE_FULL, now_ns);
  }
  if (l->config.shadow) {
    l->counters.shadow_queued++;
    return admit(l, place, cost, now_ns);
  }
  l->counters.queued++;
  w->key = place.key;
  wr_limiter_queue_add(l, w, due_ns);
  return WR_LIMITER_QUEUED;
}

uint64_t wr_limiter_after(const struct wr_limiter *l, uint64_t key, uint32_t cost, uint64_t now_ns)
{
  uint64_t due_ns = when(l, place_of(l, key, now_ns), cost ? cost : 1, now_ns);
  return due_ns == UINT64_MAX ? 0 : due_ns - now_ns;
}

void wr_limiter_drain(struct wr_limiter *l, uint64_t key, uint64_t until_ns, uint64_t now_ns)
{
  uint64_t most_ns = wr_deadline_in(now_ns, WR_LIMITER_DRAIN_MAX);
  struct place place = place_of(l, key, now_ns);
  struct wr_limiter_cell *cell = place.cell;
  if (cell == NULL) cell = wr_limiter_cell_take(l, place.key, now_ns);
  if (until_ns > most_ns) until_ns = most_ns;
  if (until_ns > cell->drained_ns) cell->drained_ns = until_ns;
  l->counters.drained++;
  if (l->waiting > 0) wr_limiter_queue_plan(l, cell->head.key, now_ns);
}

void wr_limiter_look(const struct wr_limiter *l, uint64_t key, uint64_t now_ns,
                     struct wr_limiter_look *out)
{
  const struct wr_limiter_config *c = &l->config;
  const struct wr_limiter_cell *cell = place_of(l, key, now_ns).cell;
  *out = (struct wr_limiter_look){.limit = c->limit, .span_ns = c->period_ns};
  if (c->algorithm == WR_LIMITER_GCRA) {
    uint64_t owed_ns = cell ? cell->debt.owed_ns : 0;
    out->left = wr_gcra_left(&l->gcra, owed_ns, now_ns);
    out->reset_ns = wr_deadline_left(owed_ns, now_ns);
  } else {
    static const struct wr_sliding none;
    const struct wr_sliding *s = cell ? &cell->debt.sliding : &none;
    uint64_t part_ns = wr_sliding_part_ns(c->period_ns);
    uint64_t used = wr_sliding_used(s, part_ns, now_ns);
    out->left = used < c->limit ? c->limit - (uint32_t)used : 0;
    out->reset_ns = wr_sliding_reset(s, part_ns, now_ns) - now_ns;
  }
  uint64_t drained_ns = cell ? wr_deadline_left(cell->drained_ns, now_ns) : 0;
  if (drained_ns > 0) out->left = 0;
  if (drained_ns > out->reset_ns) out->reset_ns = drained_ns;
}

bool wr_limiter_is_idle(const struct wr_limiter *l, uint64_t now_ns)
{
  struct wr_keyed table = wr_limiter_table(l);
  uint32_t at = 0;
  const struct wr_limiter_cell *cell;
  if (l->waiting > 0 || wr_limiter_cell_is_busy(&l->all, l, now_ns)) return false;
  while ((cell = wr_keyed_each(&table, &at)) != NULL) {
    if (wr_limiter_cell_is_busy(cell, l, now_ns)) return false;
  }
  return true;
}

// Repair

void wr_limiter_repair(struct wr_limiter *l, const struct wr_limiter_config *config,
                       uint64_t now_ns)
{
  size_t cells = wr_limiter_bytes(config) - sizeof(*l);
  bool is_other =
      l->config.algorithm != config->algorithm || l->config.max_keys != config->max_keys;
  if (is_other) memset(l->cells, 0, cells);
  l->declared_limit = 0;
  l->declared_burst = 0;
  adopt(l, config);
  struct wr_keyed table = wr_limiter_table(l);
  uint32_t at = 0;
  struct wr_limiter_cell *cell;
  l->keys = 0;
  l->waiting = 0;
  l->next_ns = UINT64_MAX;
  wr_list_init(&l->waiters);
  wr_limiter_cell_repair(l, &l->all, now_ns);
  for (; (cell = wr_keyed_each(&table, &at)) != NULL; l->keys++)
    wr_limiter_cell_repair(l, cell, now_ns);
}

static const char *const results[WR_LIMITER_RESULTS] = {
#define WR_LIMITER_RESULT(ENUM, name, meaning) [WR_LIMITER_##ENUM] = name,
#include "tables/states.def"
};

const char *wr_limiter_result_name(enum wr_limiter_result result)
{
  WR_CHECK(result < WR_LIMITER_RESULTS);
  return results[result];
}
