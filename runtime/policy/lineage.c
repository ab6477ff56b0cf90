#include "policy/lineage.h"

#include "base/alloc.h"
#include "script/library.h"

enum { GENERATIONS_MAX = 4 };

#define SLICE_NS (250 * UINT64_C(1000)) // of a load, in a turn of the loop
#define RETIRED_MAX_NS (30 * WR_SECOND)
#define WARM_NS (600 * WR_SECOND)

void wr_lineage_init(struct wr_lineage *l, struct wr_serve *serve)
{
  *l = (struct wr_lineage){.serve = serve};
  wr_list_init(&l->draining);
  wr_list_init(&l->withering);
}

static uint64_t now_of(const struct wr_lineage *l)
{
  return wr_loop_now(l->serve->env->loop);
}

// --- slices -------------------------------------------------------------------------------------

static void on_work(struct wr_timer *t);

// Before the next turn's requests, not behind all that may come.
static void go_on(struct wr_lineage *l)
{
  if (l->work.loop == NULL) wr_timer_init(&l->work, l->serve->env->loop, on_work);
  if (!wr_timer_is_running(&l->work)) wr_timer_start_at(&l->work, now_of(l));
}

static void wither(struct wr_lineage *l, struct wr_generation *g)
{
  wr_list_push(&l->withering, &g->link);
  go_on(l);
}

// --- the end ------------------------------------------------------------------------------------

static void on_idle(struct wr_generation *g)
{
  struct wr_lineage *l = g->owner;
  wr_list_remove(&g->link);
  l->draining_count--;
  wither(l, g);
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
  struct wr_generation *g = l->shadow;
  if (g == NULL) return;
  wr_guard_shadow_fini(&l->asked, now_of(l));
  l->shadow = NULL;
  wither(l, g);
}

void wr_lineage_discard(struct wr_lineage *l)
{
  if (l->loading) wr_generation_free(l->loading);
  if (l->warming) wither(l, l->warming);
  wr_source_free(l->source);
  l->source = NULL;
  l->loading = l->warming = NULL;
  l->is_loading = false;
  free_shadow(l);
  retire_canary(l);
  if (l->cooling) wr_generation_rest(l->cooling);
}

static void begin(struct wr_lineage *l, uint64_t number, int fd, bool is_shadow)
{
  struct wr_error damage;
  l->error = (struct wr_generation_error){.stage = "unpack"};
  l->loading_number = number;
  l->source = wr_source_unpack(fd, wr_library_stamp(l->serve->env->library), &damage);
  if (l->source) l->source->is_shadow = is_shadow;
  if (l->source == NULL) wr_call_error_set(&l->error.script, "", 0, "%s", damage.message);
  l->is_loading = true;
  go_on(l);
}

void wr_lineage_prepare(struct wr_lineage *l, uint64_t number, int fd)
{
  wr_lineage_discard(l);
  if (l->cooling && l->cooling->number == number && wr_generation_wake(l->cooling)) {
    l->on_ready(l->ctx, number, NULL);
  } else {
    begin(l, number, fd, false);
  }
}

void wr_lineage_shadow(struct wr_lineage *l, uint64_t number, int fd)
{
  wr_lineage_discard(l);
  begin(l, number, fd, true);
}

static void put_in_place(struct wr_lineage *l)
{
  struct wr_generation *g = l->loading;
  l->loading = NULL;
  if (!g->source->is_shadow) {
    l->warming = g;
    return;
  }
  l->shadow = g;
  wr_guard_shadow_init(&l->asked, l->serve->env->guard);
  wr_generation_shadow(g, &l->asked);
}

// The first slice makes the state, the others fill it.
static enum wr_vm_progress go_on_loading(struct wr_lineage *l)
{
  struct wr_source *source = l->source;
  if (l->loading) return wr_generation_go_on(l->loading, SLICE_NS, &l->error);
  if (source == NULL) return WR_VM_FAILED;
  l->source = NULL;
  l->loading = wr_generation_new(l->serve->env, l->loading_number, source, &l->error);
  return l->loading ? WR_VM_GOES_ON : WR_VM_FAILED;
}

static void load_slice(struct wr_lineage *l)
{
  enum wr_vm_progress progress = go_on_loading(l);
  if (progress == WR_VM_GOES_ON) return;
  l->is_loading = false;
  if (progress == WR_VM_DONE) {
    put_in_place(l);
    l->on_ready(l->ctx, l->loading_number, NULL);
    return;
  }
  if (l->loading) wr_generation_free(l->loading);
  l->loading = NULL;
  l->on_ready(l->ctx, l->loading_number, &l->error);
}

static void wither_slice(struct wr_lineage *l)
{
  if (wr_list_is_empty(&l->withering)) return;
  struct wr_generation *g = WR_CONTAINER(l->withering.next, struct wr_generation, link);
  if (!wr_generation_wither(g, SLICE_NS)) return;
  wr_list_remove(&g->link);
  wr_generation_free(g);
}

static void on_work(struct wr_timer *t)
{
  struct wr_lineage *l = WR_CONTAINER(t, struct wr_lineage, work);
  uint64_t from = wr_loop_clock();
  if (l->is_loading) {
    load_slice(l);
  } else {
    wither_slice(l);
  }
  if (l->on_slice) l->on_slice(l->ctx, wr_loop_clock() - from);
  if (l->is_loading || !wr_list_is_empty(&l->withering)) go_on(l);
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
  if (l->work.loop) wr_timer_stop(&l->work); // what is left is freed when the loop is over
  WR_LIST_EACH(&l->draining, node) {
    struct wr_generation *g = WR_CONTAINER(node, struct wr_generation, link);
    g->on_idle = NULL;
    wr_script_cancel_tasks(g->script);
  }
}

static void free_all(struct wr_list *list)
{
  struct wr_list *node;
  while ((node = wr_list_pop(list)) != NULL) {
    wr_generation_free(WR_CONTAINER(node, struct wr_generation, link));
  }
}

void wr_lineage_fini(struct wr_lineage *l)
{
  free_all(&l->draining);
  free_all(&l->withering);
}
