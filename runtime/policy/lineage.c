#include "policy/lineage.h"

#include "base/alloc.h"

enum { GENERATIONS_MAX = 4 };

#define RETIRED_MAX_NS (30 * WR_SECOND)
#define WARM_NS (600 * WR_SECOND)

void wr_lineage_init(struct wr_lineage *l, struct wr_serve *serve)
{
  *l = (struct wr_lineage){.serve = serve};
  wr_list_init(&l->draining);
}

static uint64_t now_of(const struct wr_lineage *l)
{
  return wr_loop_now(l->serve->env->loop);
}

// --- the end ------------------------------------------------------------------------------------

static void on_idle(struct wr_generation *g)
{
  struct wr_lineage *l = g->owner;
  wr_list_remove(&g->link);
  l->draining_count--;
  wr_generation_free(g);
}

static bool is_late(const struct wr_lineage *l, const struct wr_generation *g)
{
  return now_of(l) - g->retired_ns >= RETIRED_MAX_NS;
}

// Of too many the oldest loses its requests; it goes when they have let go.
static void limit(struct wr_lineage *l)
{
  WR_LIST_EACH(&l->draining, node) {
    struct wr_generation *g = WR_CONTAINER(node, struct wr_generation, link);
    if (is_late(l, g)) wr_serve_cut(g);
  }
  if (l->draining_count > GENERATIONS_MAX) {
    wr_serve_cut(WR_CONTAINER(l->draining.next, struct wr_generation, link));
  }
}

static void retire(struct wr_lineage *l, struct wr_generation *g)
{
  g->owner = l;
  g->on_idle = on_idle;
  wr_list_push(&l->draining, &g->link);
  l->draining_count++;
  wr_generation_retire(g);
  limit(l);
}

static void retire_cooling(struct wr_lineage *l)
{
  struct wr_generation *g = l->cooling;
  l->cooling = NULL;
  if (g != NULL) retire(l, g);
}

// --- the next -----------------------------------------------------------------------------------

static void retire_canary(struct wr_lineage *l)
{
  struct wr_generation *g = l->serve->canary.generation;
  l->serve->canary.generation = NULL;
  if (g != NULL) retire(l, g);
}

static void free_shadow(struct wr_lineage *l)
{
  if (l->shadow == NULL) return;
  wr_guard_shadow_fini(&l->asked, now_of(l));
  wr_generation_free(l->shadow);
  l->shadow = NULL;
}

void wr_lineage_discard(struct wr_lineage *l)
{
  if (l->warming) wr_generation_free(l->warming);
  l->warming = NULL;
  free_shadow(l);
  retire_canary(l);
  if (l->cooling) wr_generation_rest(l->cooling);
}

static struct wr_generation *load(struct wr_lineage *l, uint64_t number, int fd, bool is_shadow,
                                  struct wr_generation_error *error)
{
  struct wr_error damage;
  *error = (struct wr_generation_error){.stage = "unpack"};
  struct wr_source *source = wr_source_unpack(fd, &damage);
  if (source == NULL) {
    wr_call_error_set(&error->script, "", 0, "%s", damage.message);
    return NULL;
  }
  source->is_shadow = is_shadow;
  return wr_generation_load(l->serve->env, number, source, error);
}

bool wr_lineage_prepare(struct wr_lineage *l, uint64_t number, int fd,
                        struct wr_generation_error *error)
{
  wr_lineage_discard(l);
  if (l->cooling && l->cooling->number == number && wr_generation_wake(l->cooling)) return true;
  l->warming = load(l, number, fd, false, error);
  return l->warming != NULL;
}

bool wr_lineage_shadow(struct wr_lineage *l, uint64_t number, int fd,
                       struct wr_generation_error *error)
{
  wr_lineage_discard(l);
  l->shadow = load(l, number, fd, true, error);
  if (l->shadow == NULL) return false;
  wr_guard_shadow_init(&l->asked, l->serve->env->guard);
  wr_generation_shadow(l->shadow, &l->asked);
  return true;
}

// The one of this number that is ready, which is then nobody's.
static struct wr_generation *take(struct wr_lineage *l, uint64_t number)
{
  struct wr_generation **places[] = {&l->warming, &l->serve->canary.generation, &l->cooling};
  for (size_t i = 0; i < WR_COUNT(places); i++) {
    struct wr_generation *g = *places[i];
    if (g == NULL || g->number != number) continue;
    *places[i] = NULL;
    return g;
  }
  return NULL;
}

bool wr_lineage_probe(struct wr_lineage *l, uint64_t number, const struct wr_canary_plan *plan)
{
  if (l->serve->live == NULL) return false;
  struct wr_generation *g = take(l, number);
  if (g == NULL) return false;
  l->serve->canary = (struct wr_canary){g, *plan};
  wr_tally_reset(g->tally);
  wr_tally_reset(l->serve->live->tally);
  wr_generation_probe(g);
  return true;
}

bool wr_lineage_commit(struct wr_lineage *l, uint64_t number)
{
  struct wr_generation *next = take(l, number);
  struct wr_generation *old = l->serve->live;
  if (next == NULL) return false;
  wr_serve_swap(l->serve, next);
  if (old) wr_generation_cool(old);
  wr_generation_start(next);
  retire_cooling(l);
  l->cooling = old;
  return true;
}

// --- time ---------------------------------------------------------------------------------------

static void tell(const struct wr_lineage *l)
{
  const struct wr_generation *all[] = {l->serve->live, l->serve->canary.generation, l->shadow,
                                       l->cooling, l->warming};
  for (size_t i = 0; i < WR_COUNT(all); i++) {
    if (all[i]) wr_generation_tell(all[i]);
  }
  WR_LIST_EACH(&l->draining, node) {
    wr_generation_tell(WR_CONTAINER(node, struct wr_generation, link));
  }
}

void wr_lineage_beat(struct wr_lineage *l)
{
  const struct wr_generation *canary = l->serve->canary.generation;
  if (l->serve->live) wr_script_beat(l->serve->live->script);
  if (canary) wr_script_beat(canary->script);
  limit(l);
  if (l->cooling) {
    if (is_late(l, l->cooling)) wr_serve_cut(l->cooling);
    if (now_of(l) - l->cooling->retired_ns >= WARM_NS) retire_cooling(l);
  }
  tell(l);
}

static bool granted_in(struct wr_generation *g, uint64_t id, bool granted)
{
  return g != NULL && wr_generation_granted(g, id, granted);
}

bool wr_lineage_granted(struct wr_lineage *l, uint64_t id, bool granted)
{
  if (granted_in(l->serve->live, id, granted)) return true;
  if (granted_in(l->serve->canary.generation, id, granted)) return true;
  if (granted_in(l->cooling, id, granted)) return true;
  WR_LIST_EACH(&l->draining, node) {
    if (granted_in(WR_CONTAINER(node, struct wr_generation, link), id, granted)) return true;
  }
  return false;
}

// --- leaving ------------------------------------------------------------------------------------

void wr_lineage_silence(struct wr_lineage *l)
{
  wr_lineage_discard(l);
  retire_cooling(l);
  if (l->serve->live) retire(l, l->serve->live);
  wr_serve_swap(l->serve, NULL);
  WR_LIST_EACH(&l->draining, node) {
    struct wr_generation *g = WR_CONTAINER(node, struct wr_generation, link);
    g->on_idle = NULL;
    wr_script_cancel_tasks(g->script);
  }
}

void wr_lineage_fini(struct wr_lineage *l)
{
  struct wr_list *node;
  while ((node = wr_list_pop(&l->draining)) != NULL) {
    wr_generation_free(WR_CONTAINER(node, struct wr_generation, link));
  }
}
