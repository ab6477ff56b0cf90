// The rules: who of the group, among those that are accepted.

#include "base/check.h"
#include "upstream/balance_internal.h"
#include "upstream/ewma.h"

#include <math.h>

enum {
  DRAWS = 4,  // in vain, before all are looked at
  STEPS = 16, // of a walk in vain, before it is asked whether it has an end
};

static struct wr_balance_place *member(const struct wr_balance_choice *c, size_t at)
{
  return &c->balance->places[c->group->members[at]];
}

static bool is_ramping(const struct wr_balance_choice *c, const struct wr_balance_place *p)
{
  return p->ramp_ns != 0 && c->ask->now_ns - p->ramp_ns < c->balance->config.slow_start_ns;
}

// Draws by weight

static double share_of(const struct wr_balance_choice *c, const struct wr_balance_place *p)
{
  return p->weight * wr_balance_ramp(c->balance, p, c->ask->now_ns);
}

// Looks at all: exact, and slow in a large group.
static struct wr_balance_place *draw_slowly(const struct wr_balance_choice *c,
                                            const struct wr_balance_place *but)
{
  double sum = 0;
  struct wr_balance_place *last = NULL;
  for (size_t i = 0; i < c->group->count; i++) {
    struct wr_balance_place *p = member(c, i);
    if (p != but && wr_balance_accepts(c, p)) sum += share_of(c, p);
  }
  double left = wr_rng_unit(c->ask->rng) * sum;
  for (size_t i = 0; i < c->group->count && left >= 0; i++) {
    struct wr_balance_place *p = member(c, i);
    if (p == but || !wr_balance_accepts(c, p)) continue;
    last = p;
    left -= share_of(c, p);
  }
  return last;
}

// A ramp is a chance to be drawn again.
static bool survives_ramp(const struct wr_balance_choice *c, const struct wr_balance_place *p)
{
  if (!is_ramping(c, p)) return true;
  return wr_rng_unit(c->ask->rng) < wr_balance_ramp(c->balance, p, c->ask->now_ns);
}

static struct wr_balance_place *draw(const struct wr_balance_choice *c,
                                     const struct wr_balance_place *but)
{
  const struct wr_balance_group *g = c->group;
  for (int i = 0; i < DRAWS; i++) {
    struct wr_balance_place *p =
        member(c, wr_alias_draw(g->alias, g->count, wr_rng_next(c->ask->rng)));
    if (p != but && wr_balance_accepts(c, p) && survives_ramp(c, p)) return p;
  }
  return draw_slowly(c, but);
}

// Two draws, and the better of them (Mitzenmacher 2001). The first is by weight, and wins when both
// are as good: so idle endpoints, too, get their shares.

static double load(const struct wr_balance_place *p)
{
  return (double)p->endpoint->in_flight / p->weight;
}

static double cost(const struct wr_balance_place *p, uint64_t now_ns)
{
  return wr_ewma_cost(&p->endpoint->latency, now_ns) * (p->endpoint->in_flight + 1.0) / p->weight;
}

static bool is_better(const struct wr_balance_choice *c, const struct wr_balance_place *p,
                      const struct wr_balance_place *than)
{
  bool knows = p->endpoint->latency.at_ns != 0 && than->endpoint->latency.at_ns != 0;
  if (c->balance->config.rule == WR_BALANCE_LEAST_REQUEST || !knows) return load(p) < load(than);
  return cost(p, c->ask->now_ns) < cost(than, c->ask->now_ns);
}

// Two of two, or of a group whose draws never fail, is the common case.
static struct wr_balance_place *two_choices(const struct wr_balance_choice *c)
{
  struct wr_balance_place *first = draw(c, NULL);
  if (first == NULL || c->group->usable == 1) return first;
  struct wr_balance_place *second = NULL;
  if (c->group->count == 2) {
    struct wr_balance_place *other = member(c, member(c, 0) == first);
    if (wr_balance_accepts(c, other)) second = other;
  } else {
    second = draw(c, first);
  }
  // One in its slow start gets its share by the first draw, and no more for being idle.
  if (second == NULL || is_ramping(c, second)) return first;
  return is_better(c, second, first) ? second : first;
}

// In turn. With equal weights that is one after the other; a ramp is a chance to be passed over.
static struct wr_balance_place *next_of_equals(const struct wr_balance_choice *c)
{
  struct wr_balance_group *g = c->group;
  struct wr_balance_place *passed = NULL;
  for (size_t i = 0; i < g->count; i++) {
    struct wr_balance_place *p = member(c, g->next);
    g->next = g->next + 1 == g->count ? 0 : g->next + 1;
    if (!wr_balance_accepts(c, p)) continue;
    if (survives_ramp(c, p)) return p;
    passed = p;
  }
  return passed;
}

// Smooth weighted round robin (nginx): each gets its weight, the richest pays the sum. Looks at
// all.
static struct wr_balance_place *next_by_weight(const struct wr_balance_choice *c)
{
  struct wr_balance_group *g = c->group;
  int64_t sum = 0;
  size_t best = g->count;
  for (size_t i = 0; i < g->count; i++) {
    struct wr_balance_place *p = member(c, i);
    if (!wr_balance_accepts(c, p)) continue;
    int64_t share = (int64_t)p->weight << 10;
    if (is_ramping(c, p)) share = llround(1024 * share_of(c, p));
    g->credit[i] += share;
    sum += share;
    if (best == g->count || g->credit[i] > g->credit[best]) best = i;
  }
  if (best == g->count) return NULL;
  g->credit[best] -= sum;
  return member(c, best);
}

// Hash rules with bounded loads (Mirrokni, Thorup and Zadimoghaddam 2016): no place may have more
// than `bound` times its share of what is under way; the walk goes on past one that has.

static bool is_below_bound(const struct wr_balance_choice *c, const struct wr_balance_place *p)
{
  const struct wr_balance *b = c->balance;
  if (b->config.bound == 0) return true;
  double part = (double)p->weight / (double)c->group->usable_weight;
  return p->endpoint->in_flight < ceil(b->config.bound * part * (b->in_flight + 1.0));
}

static bool has_one(const struct wr_balance_choice *c)
{
  for (size_t i = 0; i < c->group->count; i++) {
    if (wr_balance_accepts(c, member(c, i))) return true;
  }
  return false;
}

static struct wr_balance_place *walk(const struct wr_balance_choice *c)
{
  const struct wr_balance_group *g = c->group;
  bool is_ring = g->table == NULL;
  size_t size = is_ring ? g->ring.count : WR_MAGLEV_SIZE;
  uint64_t hash = wr_ring_mix(c->ask->hash);
  size_t at = is_ring ? wr_ring_start(&g->ring, hash) : hash % WR_MAGLEV_SIZE;
  struct wr_balance_place *full = NULL;
  for (size_t i = 0; i < size; i++, at = at + 1 == size ? 0 : at + 1) {
    if (i == STEPS && !has_one(c)) return NULL; // a long way for nothing
    struct wr_balance_place *p = member(c, is_ring ? g->ring.points[at].member : g->table[at]);
    if (!wr_balance_accepts(c, p)) continue;
    if (is_below_bound(c, p)) return p;
    if (full == NULL) full = p;
  }
  return full;
}

struct wr_balance_place *wr_balance_choose(const struct wr_balance_choice *c)
{
  switch (c->balance->config.rule) {
  case WR_BALANCE_LEAST_REQUEST:
  case WR_BALANCE_PEAK_EWMA: return two_choices(c);
  case WR_BALANCE_ROUND_ROBIN: return c->group->credit ? next_by_weight(c) : next_of_equals(c);
  case WR_BALANCE_RING_HASH:
  case WR_BALANCE_MAGLEV: return c->ask->has_hash ? walk(c) : draw(c, NULL);
  case WR_BALANCE_RANDOM:
  case WR_BALANCE_RULES: break;
  }
  return draw(c, NULL);
}
