#include "policy/generation.h"

#include "arena/slot.h"
#include "base/alloc.h"
#include "base/check.h"
#include "policy/job.h"

#include <stdatomic.h>
#include <stdio.h>

static void set_state(struct wr_generation *g, enum wr_generation_state state);

// --- loading ------------------------------------------------------------------------------------

static bool add_routes(struct wr_generation *g, struct wr_generation_error *error)
{
  g->routes = wr_route_table_new();
  WR_LIST_EACH(&g->script->declared.routes, node) {
    struct wr_route_declared *d = WR_CONTAINER(node, struct wr_route_declared, link);
    struct wr_error problem;
    struct wr_route_new route = {d->host, d->pattern, d->place, d};
    if (wr_route_add(g->routes, &route, &problem)) continue;
    error->stage = "routes";
    // The message begins with the place, which has fields of its own.
    struct wr_str place = wr_str_of(d->place);
    const char *message = problem.message;
    if (strncmp(message, d->place, place.len) == 0) message += place.len + 2;
    wr_call_error_set(&error->script, "", 0, "%s", message);
    struct wr_str file = wr_str_split(&place, ':');
    snprintf(error->script.file, sizeof(error->script.file), "%.*s", WR_STR_ARG(file));
    for (size_t i = 0; i < place.len; i++) {
      error->script.line = error->script.line * 10 + (place.ptr[i] - '0');
    }
    return false;
  }
  return true;
}

static bool is_ending(const struct wr_generation *g)
{
  return g->state == WR_GENERATION_DRAINING || g->state == WR_GENERATION_COOLING;
}

// Work in the background keeps a draining generation like a request does.
static void on_quiet(void *ctx)
{
  struct wr_generation *g = ctx;
  if (is_ending(g)) wr_loop_defer(g->script->env->loop, &g->reaper);
}

static void prepare_script(struct wr_generation *g)
{
  g->script->find = wr_source_find;
  g->script->find_ctx = g->source;
  g->script->data = wr_source_data;
  g->script->is_trial = g->source->is_reading;
  g->script->is_shadow = g->source->is_shadow;
  g->script->on_quiet = on_quiet;
  g->script->on_quiet_ctx = g;
  struct wr_code code = wr_source_main(g->source);
  wr_script_begin(g->script, &code);
}

static void on_reap(struct wr_deferred *d)
{
  struct wr_generation *g = WR_CONTAINER(d, struct wr_generation, reaper);
  if (g->refs > 0 || g->script->background > 0) return;
  if (g->state == WR_GENERATION_COOLING && !g->is_woken) wr_script_rest(g->script);
  if (g->state == WR_GENERATION_DRAINING && g->on_idle) g->on_idle(g);
}

struct wr_generation *wr_generation_new(struct wr_script_env *env, uint64_t number,
                                        struct wr_source *source, struct wr_generation_error *error)
{
  static const struct wr_vm_limits limits = {.soft_bytes = 256u * 1024 * 1024,
                                             .growth_bytes = 24u * 1024 * 1024};
  struct wr_generation *g = wr_alloc(sizeof(*g));
  memset(error, 0, sizeof(*error));
  error->stage = "load";
  g->number = number;
  g->source = source;
  wr_list_init(&g->link);
  wr_list_init(&g->requests);
  wr_list_init(&g->jobs);
  wr_deferred_init(&g->reaper, on_reap);
  g->script = wr_script_new(env, number, &limits, &error->script);
  if (g->script == NULL) {
    wr_generation_free(g);
    return NULL;
  }
  prepare_script(g);
  g->tally = wr_tally_take(wr_slot_of(env->arena, env->shard), number);
  set_state(g, WR_GENERATION_WARMING);
  return g;
}

enum wr_vm_progress wr_generation_go_on(struct wr_generation *g, uint64_t slice_ns,
                                        struct wr_generation_error *error)
{
  error->stage = "load";
  enum wr_vm_progress progress = wr_script_go_on(g->script, slice_ns, &error->script);
  if (progress != WR_VM_DONE) return progress;
  return add_routes(g, error) ? WR_VM_DONE : WR_VM_FAILED;
}

struct wr_generation *wr_generation_load(struct wr_script_env *env, uint64_t number,
                                         struct wr_source *source,
                                         struct wr_generation_error *error)
{
  struct wr_generation *g = wr_generation_new(env, number, source, error);
  if (g == NULL) return NULL;
  if (wr_generation_go_on(g, UINT64_MAX, error) == WR_VM_DONE) return g;
  wr_generation_free(g);
  return NULL;
}

// --- living ------------------------------------------------------------------------------------

static void add_jobs(struct wr_generation *g)
{
  WR_LIST_EACH(&g->script->declared.jobs, node) {
    struct wr_job *job = wr_job_new(g->script, WR_CONTAINER(node, struct wr_job_declared, link));
    wr_list_push(&g->jobs, &job->link);
    wr_job_start(job);
  }
}

// Those that ran before it cooled; what of them still runs is in the background.
static void remove_jobs(struct wr_generation *g)
{
  WR_LIST_EACH(&g->jobs, node) {
    struct wr_job *job = WR_CONTAINER(node, struct wr_job, link);
    if (job->task) continue;
    wr_list_remove(&job->link);
    wr_job_free(job);
  }
}

static void retire_jobs(struct wr_generation *g)
{
  WR_LIST_EACH(&g->jobs, node) {
    wr_job_retire(WR_CONTAINER(node, struct wr_job, link));
  }
}

// --- life ---------------------------------------------------------------------------------------

static void set_state(struct wr_generation *g, enum wr_generation_state state)
{
  g->state = state;
  wr_generation_tell(g);
}

void wr_generation_rehearse(struct wr_generation *g)
{
  WR_CHECK(g->state == WR_GENERATION_WARMING);
  set_state(g, WR_GENERATION_LIVE);
  wr_script_reconcile(g->script);
}

void wr_generation_start(struct wr_generation *g)
{
  WR_CHECK(g->state != WR_GENERATION_LIVE && g->state != WR_GENERATION_DRAINING);
  set_state(g, WR_GENERATION_LIVE);
  wr_script_reconcile(g->script);
  remove_jobs(g);
  add_jobs(g);
}

void wr_generation_probe(struct wr_generation *g)
{
  WR_CHECK(g->state == WR_GENERATION_WARMING || g->state == WR_GENERATION_COOLING);
  set_state(g, WR_GENERATION_CANARY);
  wr_script_beat(g->script); // its upstreams are its own
}

void wr_generation_shadow(struct wr_generation *g, struct wr_guard_shadow *shadow)
{
  WR_CHECK(g->state == WR_GENERATION_WARMING && g->source->is_shadow);
  set_state(g, WR_GENERATION_SHADOW);
  wr_script_shadow(g->script, shadow);
}

static void stop_serving(struct wr_generation *g, enum wr_generation_state state)
{
  bool is_serving = g->state != WR_GENERATION_COOLING;
  set_state(g, state);
  if (!is_serving) return;
  g->retired_ns = wr_loop_now(g->script->env->loop);
  retire_jobs(g);
}

void wr_generation_end_jobs(struct wr_generation *g)
{
  retire_jobs(g);
}

void wr_generation_cool(struct wr_generation *g)
{
  WR_CHECK(g->state == WR_GENERATION_LIVE);
  stop_serving(g, WR_GENERATION_COOLING);
  wr_generation_rest(g);
}

bool wr_generation_wake(struct wr_generation *g)
{
  g->is_woken = wr_script_wake(g->script);
  return g->is_woken;
}

void wr_generation_rest(struct wr_generation *g)
{
  g->is_woken = false;
  if (g->refs == 0) wr_loop_defer(g->script->env->loop, &g->reaper);
}

void wr_generation_retire(struct wr_generation *g)
{
  WR_CHECK(g->state != WR_GENERATION_WARMING && g->state != WR_GENERATION_DRAINING);
  stop_serving(g, WR_GENERATION_DRAINING);
  if (g->refs == 0) wr_loop_defer(g->script->env->loop, &g->reaper);
}

void wr_generation_tell(const struct wr_generation *g)
{
  if (g->tally == NULL) return;
  atomic_store_explicit(&g->tally->state, g->state, memory_order_relaxed);
  atomic_store_explicit(&g->tally->requests, (uint32_t)g->refs, memory_order_relaxed);
  atomic_store_explicit(&g->tally->bytes, g->script->vm.used_bytes, memory_order_relaxed);
}

static const char *const states[WR_GENERATION_STATES] = {
#define WR_GENERATION_STATE(ENUM, name, meaning) [WR_GENERATION_##ENUM] = name,
#include "tables/states.def"
};

const char *wr_generation_state_name(enum wr_generation_state state)
{
  WR_CHECK(state < WR_GENERATION_STATES);
  return states[state];
}

bool wr_generation_granted(struct wr_generation *g, uint64_t id, bool granted)
{
  WR_LIST_EACH(&g->jobs, node) {
    if (wr_job_granted(WR_CONTAINER(node, struct wr_job, link), id)) return true;
  }
  return wr_script_granted(g->script, id, granted);
}

// --- holding ------------------------------------------------------------------------------------

void wr_generation_ref(struct wr_generation *g)
{
  g->refs++;
}

void wr_generation_unref(struct wr_generation *g)
{
  WR_CHECK(g->refs > 0);
  if (--g->refs == 0 && is_ending(g)) {
    // Not from here: a task of this generation may be on the C stack.
    wr_loop_defer(g->script->env->loop, &g->reaper);
  }
}

static void free_jobs(struct wr_generation *g)
{
  struct wr_list *node;
  if (g->script) g->script->on_quiet = NULL;
  while ((node = wr_list_pop(&g->jobs)) != NULL) {
    wr_job_free(WR_CONTAINER(node, struct wr_job, link));
  }
}

bool wr_generation_wither(struct wr_generation *g, uint64_t slice_ns)
{
  WR_CHECK(g->refs == 0);
  free_jobs(g);
  return wr_script_wither(g->script, slice_ns);
}

void wr_generation_free(struct wr_generation *g)
{
  WR_CHECK(g->refs == 0);
  wr_tally_free(g->tally);
  wr_loop_undefer(&g->reaper);
  free_jobs(g);
  if (g->script) wr_script_free(g->script);
  if (g->routes) wr_route_table_free(g->routes);
  wr_source_free(g->source);
  wr_free(g);
}
