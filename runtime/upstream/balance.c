#include "upstream/balance.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/duration.h"
#include "upstream/balance_internal.h"

#define HOLDDOWN_NS (250 * WR_MS)
#define RAMP_MIN 0.1

// So many times what is needed do the near places have when all are usable (Envoy's 140 %).
#define OVERPROVISIONING 1.4

static const char *const names[WR_BALANCE_RULES] = {
#define WR_BALANCE_RULE(ENUM, name, meaning) [WR_BALANCE_##ENUM] = name,
#include "tables/states.def"
};

bool wr_balance_rule_find(struct wr_str name, enum wr_balance_rule *out)
{
  for (size_t i = 0; i < WR_COUNT(names); i++) {
    if (!wr_str_eq(name, wr_str_of(names[i]))) continue;
    *out = (enum wr_balance_rule)i;
    return true;
  }
  return false;
}

// Tables

void wr_balance_init(struct wr_balance *b, const struct wr_balance_config *config)
{
  *b = (struct wr_balance){.config = *config};
}

static void empty_group(struct wr_balance_group *g)
{
  wr_free(g->members);
  wr_free(g->alias);
  wr_free(g->credit);
  wr_free(g->table);
  wr_ring_fini(&g->ring);
  *g = (struct wr_balance_group){0};
}

void wr_balance_fini(struct wr_balance *b)
{
  empty_group(&b->near);
  empty_group(&b->far);
  wr_free(b->places);
  *b = (struct wr_balance){0};
}

static void gather(const struct wr_balance *b, struct wr_balance_group *g, bool is_far)
{
  g->members = wr_alloc(b->count * sizeof(*g->members));
  for (size_t i = 0; i < b->count; i++) {
    if (b->places[i].is_far == is_far) g->members[g->count++] = (uint32_t)i;
  }
}

static void build_maglev(struct wr_balance_group *g, const uint64_t *ids, const uint32_t *weights)
{
  struct wr_maglev_member *members = wr_alloc(g->count * sizeof(*members));
  g->table = wr_alloc(WR_MAGLEV_SIZE * sizeof(*g->table));
  for (size_t i = 0; i < g->count; i++) members[i] = wr_maglev_member(ids[i], weights[i]);
  wr_maglev_fill(g->table, WR_MAGLEV_SIZE, members, g->count);
  wr_free(members);
}

static void build_group(const struct wr_balance *b, struct wr_balance_group *g, bool is_far)
{
  empty_group(g);
  gather(b, g, is_far);
  if (g->count == 0) return;
  uint64_t *ids = wr_alloc(g->count * sizeof(*ids));
  uint32_t *weights = wr_alloc(g->count * sizeof(*weights));
  bool is_even = true;
  for (size_t i = 0; i < g->count; i++) {
    ids[i] = b->places[g->members[i]].id;
    weights[i] = b->places[g->members[i]].weight;
    is_even = is_even && weights[i] == weights[0];
  }
  if (!is_even) {
    g->alias = wr_alloc(g->count * sizeof(*g->alias));
    wr_alias_fill(g->alias, weights, g->count);
  }
  bool is_smooth = b->config.rule == WR_BALANCE_ROUND_ROBIN && !is_even;
  if (is_smooth) g->credit = wr_alloc(g->count * sizeof(*g->credit));
  if (b->config.rule == WR_BALANCE_RING_HASH) wr_ring_fill(&g->ring, ids, weights, g->count);
  if (b->config.rule == WR_BALANCE_MAGLEV) build_maglev(g, ids, weights);
  wr_free(ids);
  wr_free(weights);
}

void wr_balance_set(struct wr_balance *b, struct wr_balance_place *places, size_t count)
{
  WR_CHECK(count <= WR_BALANCE_PLACES_MAX);
  if (b->places != places) wr_free(b->places);
  b->places = places;
  b->count = count;
  build_group(b, &b->near, false);
  build_group(b, &b->far, true);
  wr_balance_refresh(b);
}

static bool may_be_used(const struct wr_balance *b, const struct wr_balance_place *p)
{
  return !p->is_drained && (!p->is_out || b->is_panic);
}

static void refresh_group(const struct wr_balance *b, struct wr_balance_group *g)
{
  g->usable = 0;
  g->usable_weight = 0;
  for (size_t i = 0; i < g->count; i++) {
    const struct wr_balance_place *p = &b->places[g->members[i]];
    if (!may_be_used(b, p)) continue;
    g->usable++;
    g->usable_weight += p->weight;
  }
}

void wr_balance_refresh(struct wr_balance *b)
{
  refresh_group(b, &b->near);
  refresh_group(b, &b->far);
}

// Who may be chosen

double wr_balance_ramp(const struct wr_balance *b, const struct wr_balance_place *p,
                       uint64_t now_ns)
{
  if (p->ramp_ns == 0 || b->config.slow_start_ns == 0) return 1;
  uint64_t passed = now_ns > p->ramp_ns ? now_ns - p->ramp_ns : 0;
  if (passed >= b->config.slow_start_ns) return 1;
  double share = (double)passed / (double)b->config.slow_start_ns;
  return share < RAMP_MIN ? RAMP_MIN : share;
}

bool wr_balance_accepts(const struct wr_balance_choice *c, const struct wr_balance_place *p)
{
  const struct wr_balance *b = c->balance;
  if (!may_be_used(b, p)) return false;
  if (b->config.pool_max > 0 && p->endpoint->in_flight >= b->config.pool_max) return false;
  if (c->level == WR_BALANCE_ANY) return true;
  if (c->ask->tried && wr_tried_has(c->ask->tried, p->id)) return false;
  if (c->level == WR_BALANCE_FRESH) return true;
  uint64_t failed = p->endpoint->failed_at_ns;
  return failed == 0 || c->ask->now_ns - failed >= HOLDDOWN_NS;
}

// The near places first: all calls while they suffice, else their part of the calls.
static bool prefers_near(const struct wr_balance *b, const struct wr_balance_ask *ask)
{
  if (b->near.count == 0) return false;
  if (b->far.usable == 0) return true;
  double part = OVERPROVISIONING * (double)b->near.usable / (double)b->near.count;
  if (part >= 1) return true;
  // One key stays where it is.
  uint64_t bits = ask->has_hash ? wr_ring_mix(ask->hash + 1) : wr_rng_next(ask->rng);
  return (double)(bits >> 11) * 0x1p-53 < part;
}

struct wr_balance_place *wr_balance_pick(struct wr_balance *b, const struct wr_balance_ask *ask)
{
  struct wr_balance_group *first = &b->near;
  struct wr_balance_group *second = &b->far;
  if (second->count > 0 && !prefers_near(b, ask)) {
    first = &b->far;
    second = &b->near;
  }
  struct wr_balance_choice c = {b, NULL, ask, WR_BALANCE_FIT};
  for (int level = WR_BALANCE_FIT; level <= WR_BALANCE_ANY; level++) {
    c.level = (enum wr_balance_level)level;
    for (int i = 0; i < 2; i++) {
      c.group = i == 0 ? first : second;
      if (c.group->usable == 0) continue;
      struct wr_balance_place *p = wr_balance_choose(&c);
      if (p == NULL) continue;
      if (ask->tried) wr_tried_add(ask->tried, p->id);
      return p;
    }
  }
  return NULL;
}
