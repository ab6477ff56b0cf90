#include "script/script.h"

#include "script/guard_shadow.h"

#include "arena/registry.h"
#include "base/alloc.h"
#include "base/check.h"
#include "script/bind.h"
#include "script/bind_guard.h"
#include "script/meter.h"
#include "script/task.h"
#include "upstream/upstream.h"

#include <lauxlib.h>

struct wr_script *wr_script_of(lua_State *L)
{
  return wr_vm_of(L)->owner;
}

// --- what the VM asks of us ---------------------------------------------------------------------

static uint64_t host_clock(void *owner)
{
  (void)owner;
  return wr_loop_processor();
}

static double host_random(void *owner)
{
  struct wr_script *s = owner;
  return wr_rng_unit(s->env->rng);
}

static bool host_find(void *owner, struct wr_str name, struct wr_code *out)
{
  struct wr_script *s = owner;
  return s->find != NULL && s->find(s->find_ctx, name, out);
}

static int host_mark(void *owner, lua_State *L)
{
  (void)L;
  struct wr_script *s = owner;
  return s->current ? (int)wr_scope_mark(s->current) : 0;
}

static void host_unwind(void *owner, lua_State *L, int mark)
{
  (void)L;
  struct wr_script *s = owner;
  if (s->current) wr_scope_unwind(s->current, (size_t)mark);
}

static void host_print(void *owner, lua_State *L, struct wr_str line)
{
  (void)L;
  struct wr_script *s = owner;
  wr_log_text(s->env->log, WR_LOG_INFO, "script.print", "%.*s", WR_STR_ARG(line));
}

static struct wr_vm_host host_of(const struct wr_script *s)
{
  return (struct wr_vm_host){host_clock,  host_random, host_find,      host_mark,
                             host_unwind, host_print,  s->env->library};
}

// --- life ---------------------------------------------------------------------------------------

static const lua_CFunction binds[] = {
    wr_bind_error,      wr_bind_headers,  wr_bind_response, wr_bind_request,  wr_bind_flag,
    wr_bind_health,     wr_bind_upstream, wr_bind_guard,    wr_bind_retry,    wr_bind_throttle,
    wr_bind_chaos,      wr_bind_task,     wr_bind_declare,  wr_bind_cache,    wr_bind_observe,
    wr_bind_endpoints,  wr_bind_resolve,  wr_bind_shedder,  wr_bind_hedge,    wr_bind_limiter,
    wr_bind_http_cache, wr_bind_tls,      wr_bind_plan,     wr_bind_selftest,
};

static bool open_vm(struct wr_script *s, const struct wr_vm_limits *limits,
                    struct wr_script_error *error)
{
  struct wr_vm_host host = host_of(s);
  if (wr_vm_open(&s->vm, s, &host, limits, error) != 0) return false;
  s->is_open = true;
  for (size_t i = 0; i < WR_COUNT(binds); i++) {
    if (!wr_vm_bind(&s->vm, binds[i], error)) return false;
  }
  return true;
}

struct wr_script *wr_script_new(struct wr_script_env *env, uint64_t generation,
                                const struct wr_vm_limits *limits, struct wr_script_error *error)
{
  struct wr_script *s = wr_alloc(sizeof(*s));
  s->env = env;
  s->generation = generation;
  wr_list_init(&s->tasks);
  wr_list_init(&s->idle);
  wr_list_init(&s->waiting);
  wr_relief_init(s);
  wr_declare_init(&s->declared);
  if (open_vm(s, limits, error)) return s;
  wr_script_free(s);
  return NULL;
}

// --- loading ------------------------------------------------------------------------------------

void wr_script_begin(struct wr_script *s, const struct wr_code *code)
{
  WR_CHECK(s->phase == WR_SCRIPT_NEW);
  s->main = *code;
}

// One phase is over: begins the next. False with `error` filled.
static bool begin_next(struct wr_script *s, struct wr_script_error *error)
{
  if (s->phase == WR_SCRIPT_NEW) {
    s->phase = WR_SCRIPT_LIBRARY;
    return wr_vm_begin_library(&s->vm, error);
  }
  lua_pop(s->vm.L, 1); // what it returned
  if (s->phase == WR_SCRIPT_LIBRARY) {
    s->phase = WR_SCRIPT_MAIN;
    s->is_loading = true;
    return wr_vm_begin_load(&s->vm, &s->main, error);
  }
  s->phase = WR_SCRIPT_FREEZE;
  s->is_loading = false;
  return true;
}

static enum wr_vm_progress go_on(struct wr_script *s, uint64_t slice_ns,
                                 struct wr_script_error *error)
{
  switch (s->phase) {
  case WR_SCRIPT_NEW: return WR_VM_DONE;
  case WR_SCRIPT_LIBRARY:
  case WR_SCRIPT_MAIN: return wr_vm_go_on(&s->vm, slice_ns, error);
  case WR_SCRIPT_FREEZE: return wr_vm_freeze(&s->vm, slice_ns) ? WR_VM_DONE : WR_VM_GOES_ON;
  }
  WR_UNREACHABLE("no such phase");
}

enum wr_vm_progress wr_script_go_on(struct wr_script *s, uint64_t slice_ns,
                                    struct wr_script_error *error)
{
  enum wr_vm_progress progress = WR_VM_GOES_ON;
  do {
    progress = go_on(s, slice_ns, error);
    if (progress == WR_VM_DONE && s->phase != WR_SCRIPT_FREEZE) {
      progress = begin_next(s, error) ? WR_VM_GOES_ON : WR_VM_FAILED;
    }
  } while (progress == WR_VM_GOES_ON && slice_ns == UINT64_MAX);
  if (progress == WR_VM_FAILED) s->is_loading = false;
  return progress;
}

// --- state --------------------------------------------------------------------------------------

void wr_script_reconcile(struct wr_script *s)
{
  uint64_t now = wr_loop_now(s->env->loop);
  WR_LIST_EACH(&s->declared.entries, node) {
    struct wr_entry_declared *d = WR_CONTAINER(node, struct wr_entry_declared, link);
    if (wr_registry_reconcile(s->env->registry, d->entry, d->config, now)) continue;
    if (memcmp(d->entry->config, d->config, d->config_size) == 0) continue;
    wr_log_text(s->env->log, WR_LOG_ERROR, "policy.options",
                "%s '%s' keeps its old options: there is no memory for a state of the new size",
                wr_registry_kind_name(d->entry->kind), d->entry->name);
  }
  WR_LIST_EACH(&s->declared.upstreams, node) {
    wr_upstream_sync(WR_CONTAINER(node, struct wr_upstream, link), now);
  }
}

static void show_in_flight(struct wr_script_env *env, struct wr_upstream *u)
{
  for (size_t i = 0; i < u->balance.count; i++) {
    const struct wr_endpoint *endpoint = u->balance.places[i].endpoint;
    if (u->places[i].shown == endpoint->in_flight) continue;
    u->places[i].shown = endpoint->in_flight;
    uint32_t series = wr_meter_series(env->meter, WR_METRIC_ENDPOINT_IN_FLIGHT, "upstream", u->name,
                                      "endpoint", endpoint->url, NULL);
    wr_series_set(env->arena, env->shard, series, endpoint->in_flight);
  }
}

void wr_script_beat(struct wr_script *s)
{
  uint64_t now = wr_loop_now(s->env->loop);
  WR_LIST_EACH(&s->declared.upstreams, node) {
    struct wr_upstream *u = WR_CONTAINER(node, struct wr_upstream, link);
    wr_upstream_sync(u, now);
    show_in_flight(s->env, u);
  }
}

void wr_script_cancel_tasks(struct wr_script *s)
{
  while (!wr_list_is_empty(&s->tasks)) {
    wr_task_cancel(WR_CONTAINER(s->tasks.next, struct wr_task, link));
  }
}

// --- named state --------------------------------------------------------------------------------

void wr_script_rest(struct wr_script *s)
{
  if (s->is_resting) return;
  s->is_resting = true;
  WR_LIST_EACH(&s->declared.entries, node) {
    struct wr_entry_declared *d = WR_CONTAINER(node, struct wr_entry_declared, link);
    wr_registry_drop(s->env->registry, d->entry, s->env->shard);
  }
}

static bool is_kept(struct wr_script *s, const struct wr_entry_declared *d, uint64_t now_ns)
{
  struct wr_error error;
  struct wr_registry *r = s->env->registry;
  if (wr_registry_get(r, d->ref) != d->entry) return false;
  // By its name: what is declared is not swept before it is held.
  struct wr_str name = wr_str_of(d->entry->name);
  struct wr_entry *e =
      wr_registry_declare(r, (enum wr_kind)d->entry->kind, name, d->config, now_ns, &error);
  return e == d->entry && wr_registry_get(r, d->ref) == e;
}

bool wr_script_wake(struct wr_script *s)
{
  uint64_t now = wr_loop_now(s->env->loop);
  if (!s->is_resting) return true;
  WR_LIST_EACH(&s->declared.entries, node) {
    if (!is_kept(s, WR_CONTAINER(node, struct wr_entry_declared, link), now)) return false;
  }
  WR_LIST_EACH(&s->declared.entries, node) {
    struct wr_entry_declared *d = WR_CONTAINER(node, struct wr_entry_declared, link);
    wr_registry_hold(s->env->registry, d->entry, s->env->shard);
  }
  s->is_resting = false;
  return true;
}

void wr_script_shadow(struct wr_script *s, struct wr_guard_shadow *shadow)
{
  WR_LIST_EACH(&s->declared.entries, node) {
    struct wr_entry *e = WR_CONTAINER(node, struct wr_entry_declared, link)->entry;
    struct wr_str name = wr_guard_shadow_of(e);
    if (name.ptr == NULL) continue;
    struct wr_entry *real = wr_registry_find(s->env->registry, (enum wr_kind)e->kind, name);
    if (real != NULL) wr_guard_shadow_add(shadow, real, e);
  }
}

// --- the end ------------------------------------------------------------------------------------

bool wr_script_wither(struct wr_script *s, uint64_t slice_ns)
{
  wr_script_cancel_tasks(s);
  wr_task_free_idle(s);
  return wr_vm_wither(&s->vm, slice_ns);
}

void wr_script_free(struct wr_script *s)
{
  WR_CHECK(s->current == NULL);
  wr_script_cancel_tasks(s);
  wr_task_free_idle(s);
  wr_relief_fini(s);
  if (s->is_open) wr_vm_close(&s->vm);
  wr_script_rest(s);
  wr_declare_fini(&s->declared);
  wr_free(s);
}

// --- waiting for a bulkhead ---------------------------------------------------------------------

bool wr_script_granted(struct wr_script *s, uint64_t id, bool granted)
{
  WR_LIST_EACH(&s->waiting, node) {
    struct wr_task *t = WR_CONTAINER(node, struct wr_task, waiting);
    if (t->wait_id != id) continue;
    wr_bind_guard_granted(t, granted);
    return true;
  }
  return false;
}
