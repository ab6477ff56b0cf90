#include "selftest.h"

#include "base/alloc.h"
#include "policy/serve.h"
#include "policy/source.h"
#include "script/library.h"
#include "script/rehearsal.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum { BODY_MAX = 8 * 1024 * 1024, CACHE_BYTES = 8 * 1024 * 1024 };

#define SEED UINT64_C(0x73656c66) // of the arena: every run decides the same

// One test and its world.
struct rehearsal {
  struct wr_arena arena;
  struct wr_services services;
  struct wr_virtual clock;
  struct wr_serve serve;
  struct wr_rehearsal stage;
  struct wr_generation *generation;
  struct wr_timer plan; // of what the master would do
  struct wr_handler handler;
  struct wr_script_error *failure;
  bool has_passed;
  bool is_over;
};

__attribute__((format(printf, 3, 4))) static void
fail(struct rehearsal *r, const struct wr_selftest_declared *test, const char *format, ...)
{
  char text[WR_SCRIPT_MESSAGE_MAX];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof(text), format, args);
  va_end(args);
  char place[WR_SCRIPT_MESSAGE_MAX + WR_SCRIPT_FILE_MAX + 16];
  snprintf(place, sizeof(place), "%s: %s", test->place, text);
  wr_call_error_parse(r->failure, wr_str_of(place));
}

// "selftest 'name': " before what is there.
static void sign(struct wr_script_error *failure, const char *name)
{
  char text[WR_SCRIPT_MESSAGE_MAX];
  snprintf(text, sizeof(text), "selftest '%s': %.*s", name,
           (int)(sizeof(text) - 16 - strnlen(name, 127)), failure->message);
  memcpy(failure->message, text, sizeof(text));
}

// What the master and the worker's bell do elsewhere, at the end of each turn.

static void on_turn(struct wr_loop *l, void *ctx)
{
  struct rehearsal *r = ctx;
  if (r->generation == NULL) return;
  uint64_t now = wr_loop_now(l);
  wr_timer_start_at(&r->plan, wr_guard_advance(&r->services.registry, now, NULL));
  wr_guard_collect(&r->services.guard, now);
}

static void on_plan(struct wr_timer *t)
{
  (void)t; // the turn is there
}

static void on_grant(void *ctx, uint64_t id, bool granted)
{
  struct rehearsal *r = ctx;
  if (wr_generation_granted(r->generation, id, granted) || !granted) return;
  wr_guard_leave(&r->services.guard, id, WR_OUTCOME_CANCELLED, wr_loop_now(&r->services.loop));
}

// Opening and closing

static bool open_world(struct rehearsal *r, const struct wr_selftest *tests, struct wr_error *error)
{
  struct wr_arena_options arena = {.worker_count = 1, .cache_bytes = CACHE_BYTES, .seed = SEED};
  struct wr_services_owner owner = {.arena = &r->arena,
                                    .settings = tests->settings,
                                    .callbacks = {.on_grant = on_grant, .ctx = r},
                                    .clock = &r->clock};
  struct wr_server_options options = wr_server_options_default;
  if (!wr_arena_open(&r->arena, &arena, error)) return false;
  if (!wr_services_init(&r->services, &owner, error)) return false;
  struct wr_script_env *env = &r->services.env;
  wr_rehearsal_open(&r->stage, &r->services.loop);
  env->transport = r->stage.transport;
  env->rehearsal = &r->stage;
  env->watchdog = tests->watchdog;
  options.via = "weir";
  r->serve = (struct wr_serve){.env = env, .body_max = BODY_MAX};
  r->stage.server = wr_server_new(&r->services.loop, &options, &wr_serve_hooks, &r->serve);
  wr_timer_init(&r->plan, &r->services.loop, on_plan);
  r->services.loop.on_turn = on_turn;
  r->services.loop.on_turn_ctx = r;
  return true;
}

static bool load(struct rehearsal *r, int bundle)
{
  struct wr_error error;
  struct wr_generation_error problem;
  if (lseek(bundle, 0, SEEK_SET) < 0) return false;
  uint64_t stamp = wr_library_stamp(r->services.env.library);
  struct wr_source *source = wr_source_unpack(bundle, stamp, &error);
  if (source == NULL) {
    wr_call_error_set(r->failure, "", 0, "%s", error.message);
    return false;
  }
  r->generation = wr_generation_load(&r->services.env, 1, source, &problem);
  if (r->generation == NULL) {
    *r->failure = problem.script;
    return false;
  }
  r->stage.script = r->generation->script;
  wr_generation_rehearse(r->generation);
  wr_serve_swap(&r->serve, r->generation);
  return true;
}

// Ends what the test left under way, at the time that it is. False: something does not end.
static bool end_all(struct rehearsal *r)
{
  struct wr_generation *g = r->generation;
  if (g == NULL) return true;
  r->clock.until_ns = wr_loop_now(&r->services.loop);
  wr_script_cancel_tasks(g->script);
  wr_loop_run(&r->services.loop);
  if (g->refs > 0) return false;
  r->generation = NULL;
  wr_serve_swap(&r->serve, NULL);
  wr_rehearsal_end(&r->stage);
  wr_generation_free(g);
  return true;
}

// False: it is left as it is, and goes with its process.
static bool close_world(struct rehearsal *r)
{
  if (!end_all(r)) return false;
  wr_timer_stop(&r->plan);
  wr_server_free(r->stage.server);
  wr_transport_close(r->stage.transport, NULL, NULL);
  r->clock.until_ns = UINT64_MAX;
  wr_services_fini(&r->services);
  wr_arena_fini(&r->arena);
  return true;
}

// One test

static void on_end(void *ctx, const struct wr_handler_result *result)
{
  struct rehearsal *r = ctx;
  r->is_over = true;
  r->has_passed = result->end == WR_HANDLER_TEXT;
  if (result->end == WR_HANDLER_RAISED) *r->failure = *result->raised;
  if (result->end == WR_HANDLER_ERROR) {
    wr_call_error_set(r->failure, "", 0, "it returned an error: %s (%s)", result->error->message,
                      wr_error_name(result->error->kind));
  }
  wr_loop_stop(&r->services.loop);
}

static const struct wr_selftest_declared *find_test(const struct wr_generation *g, uint32_t number)
{
  WR_LIST_EACH(&g->script->declared.selftests, node) {
    if (number-- == 0) return WR_CONTAINER(node, struct wr_selftest_declared, link);
  }
  return NULL;
}

static void explain(struct rehearsal *r, const struct wr_selftest_declared *test)
{
  if (r->stage.has_failed) {
    r->has_passed = false;
    *r->failure = r->stage.failure;
  } else if (r->is_over) {
    if (!r->has_passed && r->failure->file[0] == '\0') {
      fail(r, test, "%s", r->failure->message);
    }
  } else if (r->clock.end == WR_VIRTUAL_LATE) {
    fail(r, test, "it has not ended after an hour of virtual time");
  } else if (r->clock.end == WR_VIRTUAL_SLOW) {
    fail(r, test, "the selftests have not ended after %.0f s of work",
         (double)WR_SELFTEST_WORK_NS / (double)WR_SECOND);
  } else {
    fail(r, test, "it waits for what cannot happen any more");
  }
}

static bool rehearse(struct rehearsal *r, uint32_t number)
{
  const struct wr_selftest_declared *test = find_test(r->generation, number);
  struct wr_error error;
  if (test == NULL) {
    wr_call_error_set(r->failure, "", 0, "the bundle declares other selftests each time it loads");
    return false;
  }
  r->handler = (struct wr_handler){.fn_ref = test->fn_ref, .on_end = on_end, .ctx = r};
  struct wr_task *task = wr_handler_new(r->generation->script, &r->handler, &error);
  r->clock.until_ns = wr_loop_now(&r->services.loop) + WR_SELFTEST_TIME_NS;
  if (task == NULL) {
    fail(r, test, "%s", error.message);
  } else {
    wr_task_start(task);
    wr_loop_run(&r->services.loop);
    explain(r, test);
  }
  if (!r->has_passed) sign(r->failure, test->name);
  return r->has_passed;
}

static bool run(const struct wr_selftest *tests, uint32_t number, uint64_t work_until_ns,
                struct wr_script_error *failure)
{
  struct rehearsal *r = wr_alloc(sizeof(*r));
  struct wr_error error;
  r->failure = failure;
  if (!open_world(r, tests, &error)) {
    wr_call_error_set(failure, "", 0, "%s", error.message);
    return false; // the process ends
  }
  r->clock.work_until_ns = work_until_ns;
  bool has_passed = load(r, tests->bundle) && rehearse(r, number);
  r->clock.work_until_ns = UINT64_MAX;
  if (close_world(r)) wr_free(r);
  return has_passed;
}

bool wr_selftest_run(const struct wr_selftest *tests, struct wr_script_error *failure)
{
  uint64_t until_ns = wr_loop_processor() + WR_SELFTEST_WORK_NS;
  for (uint32_t i = 0; i < tests->count; i++) {
    if (!run(tests, i, until_ns, failure)) return false;
  }
  return true;
}
