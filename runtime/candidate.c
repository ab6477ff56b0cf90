#include "candidate.h"

#include "arena/slot.h"
#include "base/alloc.h"
#include "base/memfd.h"
#include "loop/mailbox.h"
#include "policy/generation.h"
#include "script/composition.h"
#include "script/library.h"
#include "script/watchdog.h"
#include "selftest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void fail(struct wr_candidate_report *report, const char *stage, const char *message)
{
  report->ok = false;
  snprintf(report->stage, sizeof(report->stage), "%s", stage);
  wr_call_error_set(&report->error, "", 0, "%s", message);
}

static bool read_listens(struct wr_candidate_report *report, const struct wr_generation *g)
{
  WR_LIST_EACH(&g->script->declared.listens, node) {
    struct wr_listen_declared *d = WR_CONTAINER(node, struct wr_listen_declared, link);
    if (report->listen_count == WR_CANDIDATE_LISTENS_MAX) {
      fail(report, "load", "a bundle listens on at most 64 addresses");
      return false;
    }
    struct wr_candidate_listen *listen = &report->listens[report->listen_count++];
    snprintf(listen->address, sizeof(listen->address), "%s", d->address);
    snprintf(listen->place, sizeof(listen->place), "%s", d->place);
    listen->mode = d->mode;
  }
  return true;
}

static void describe(struct wr_candidate_report *report, const struct wr_generation *g)
{
  report->hash = wr_source_hash(g->source);
  report->files = (uint32_t)g->source->count;
  report->routes = (uint32_t)wr_route_count(g->routes);
  report->ok = read_listens(report, g);
}

// Whose tests do not pass does not go live. A bundle that was live before declares none: it passed.
static void try_selftests(struct wr_candidate_report *report, const struct wr_generation *g,
                          struct wr_selftest *tests)
{
  struct wr_error error;
  struct wr_script_error failure = {0};
  WR_LIST_EACH(&g->script->declared.selftests, node) {
    (void)node;
    tests->count++;
  }
  report->selftests = tests->count;
  if (tests->count == 0) return;
  tests->bundle = wr_source_pack(g->source, &error);
  if (tests->bundle < 0) {
    fail(report, "read", error.message);
    return;
  }
  if (!wr_selftest_run(tests, &failure)) {
    fail(report, "selftest", "");
    report->error = failure;
  }
  close(tests->bundle);
}

static void load(struct wr_services *services, struct wr_source *source,
                 struct wr_candidate_report *report, struct wr_selftest *tests,
                 const struct wr_candidate_inspector *inspector)
{
  struct wr_generation_error problem;
  struct wr_generation *g = wr_generation_load(&services->env, 1, source, &problem);
  if (g == NULL) {
    snprintf(report->stage, sizeof(report->stage), "%s", problem.stage);
    report->error = problem.script;
    return;
  }
  describe(report, g);
  if (services->env.library) {
    wr_source_compile(g->source, wr_library_stamp(services->env.library));
  }
  if (report->ok) try_selftests(report, g, tests);
  if (report->ok && inspector) inspector->look(inspector->ctx, g);
  wr_generation_free(g);
}

void wr_candidate_try(struct wr_arena *a, const struct wr_settings *settings,
                      struct wr_source *subject, struct wr_candidate_report *report,
                      const struct wr_candidate_inspector *inspector)
{
  struct wr_services *services = wr_alloc(sizeof(*services));
  struct wr_services_owner owner = {.arena = a, .slot = wr_slot_master(a), .settings = settings};
  struct wr_watchdog watchdog = {0}; // of selftests: loading has a limit of its own
  struct wr_error error = {0};
  *report = (struct wr_candidate_report){0};
  if (!wr_arena_privatise(a, &error) || !wr_services_init(services, &owner, &error) ||
      !wr_watchdog_start(&watchdog, wr_slot_of(a, owner.slot), &error) ||
      !wr_confine_child(&settings->confine, WR_FILTER_TRIAL, &error)) {
    fail(report, "start", error.message);
    return;
  }
  services->log.worker = -1;
  if (subject == NULL) subject = wr_source_open(settings->file, &error);
  if (subject == NULL) {
    fail(report, "read", error.message);
  } else {
    struct wr_selftest tests = {.settings = settings, .watchdog = &watchdog};
    load(services, subject, report, &tests, inspector);
  }
  wr_watchdog_stop(&watchdog);
  wr_services_fini(services);
  wr_free(services);
}

void wr_candidate_read(struct wr_candidate_report *report, const void *message)
{
  memcpy(report, message, sizeof(*report));
  report->stage[sizeof(report->stage) - 1] = '\0';
  report->error.file[WR_SCRIPT_FILE_MAX - 1] = '\0';
  report->error.message[WR_SCRIPT_MESSAGE_MAX - 1] = '\0';
  report->error.traceback[WR_SCRIPT_TRACEBACK_MAX - 1] = '\0';
  if (report->listen_count > WR_CANDIDATE_LISTENS_MAX) report->listen_count = 0;
  for (uint32_t i = 0; i < report->listen_count; i++) {
    report->listens[i].address[WR_CANDIDATE_ADDRESS_MAX - 1] = '\0';
    report->listens[i].place[WR_CANDIDATE_PLACE_MAX - 1] = '\0';
  }
}

void wr_candidate_path(const char *main_file, const char *file, char *out, size_t size)
{
  const char *slash = strrchr(main_file, '/');
  int folder = slash && file[0] ? (int)(slash - main_file) + 1 : 0;
  snprintf(out, size, "%.*s%s", folder, main_file, file);
}

// --- what is wished for --------------------------------------------------------------------------

enum { RESULT_MAX = 4 * 1024 * 1024 };

struct wish {
  const struct wr_candidate_task *task;
  struct wr_candidate_report *report;
  int result; // -1: none
};

// What `weir check` would warn of, as log lines: it fails nothing.
static void log_warnings(struct wr_script *s)
{
  struct wr_script_error error;
  struct wr_buf unused;
  wr_buf_init(&unused, 1);
  if (wr_composition_report(s, "log", WR_STR(""), &unused, &error) < 0) {
    wr_log_text(s->env->log, WR_LOG_ERROR, "policy.warning", "%s", error.message);
  }
  wr_buf_fini(&unused);
}

static void make_bundle(void *ctx, const struct wr_generation *g)
{
  struct wish *w = ctx;
  struct wr_error error;
  log_warnings(g->script);
  w->result = wr_source_pack(g->source, &error);
  if (w->result < 0) fail(w->report, "read", error.message);
}

static bool append_files(const struct wr_source *s, struct wr_buf *out)
{
  bool fits = true;
  for (size_t i = 0; i < s->count; i++) {
    fits &= wr_buf_append_str(out, wr_str_of(s->files[i].path)) && wr_buf_append(out, "\n", 1);
  }
  return fits;
}

static bool write_facts(const struct wr_generation *g, struct wr_buf *out,
                        struct wr_script_error *error)
{
  struct wr_buf files;
  wr_buf_init(&files, RESULT_MAX);
  append_files(g->source, &files);
  bool ok = wr_composition_shown(g->script, wr_buf_str(&files), out, error);
  wr_buf_fini(&files);
  return ok;
}

// What the bundle to compare with declares, read from a state of its own.
static bool append_base(struct wr_script_env *env, struct wr_source *base, struct wr_buf *out,
                        struct wr_script_error *error)
{
  struct wr_generation_error problem;
  struct wr_generation *before = wr_generation_load(env, 2, base, &problem);
  if (before == NULL) {
    *error = problem.script;
    return false;
  }
  bool ok = wr_composition_facts(before->script, out, error);
  wr_generation_free(before);
  return ok;
}

static bool write_changes(const struct wr_generation *g, struct wr_source *base, struct wr_buf *out,
                          struct wr_script_error *error)
{
  struct wr_buf files;
  struct wr_buf facts;
  wr_buf_init(&files, RESULT_MAX);
  wr_buf_init(&facts, RESULT_MAX);
  wr_source_differ(base, g->source, &files);
  bool ok = append_base(g->script->env, base, &facts, error) &&
            wr_composition_changes(g->script, wr_buf_str(&facts), wr_buf_str(&files), out, error);
  wr_buf_fini(&files);
  wr_buf_fini(&facts);
  return ok;
}

static void make_text(void *ctx, const struct wr_generation *g)
{
  struct wish *w = ctx;
  struct wr_script_error error = {0};
  struct wr_buf out;
  wr_buf_init(&out, RESULT_MAX);
  bool ok = w->task->wish == WR_CANDIDATE_FACTS ? write_facts(g, &out, &error)
                                                : write_changes(g, w->task->base, &out, &error);
  if (ok) w->result = wr_memfd_new("weir-told", wr_buf_str(&out));
  if (w->result < 0) {
    fail(w->report, "compare", ok ? strerror(errno) : "");
    if (!ok) w->report->error = error;
  }
  wr_buf_fini(&out);
}

int wr_candidate_run(struct wr_arena *a, const struct wr_settings *settings,
                     const struct wr_candidate_task *task, int fd)
{
  // What the clock of the load budget cannot see (a long C function) ends here.
  rlim_t seconds = WR_CANDIDATE_WORK_NS / WR_SECOND;
  struct rlimit cpu = {seconds, seconds + 1};
  setrlimit(RLIMIT_CPU, &cpu);
  struct wish w = {task, wr_alloc(sizeof(*w.report)), -1};
  bool is_bundle = task->wish == WR_CANDIDATE_BUNDLE;
  struct wr_candidate_inspector inspector = {is_bundle ? make_bundle : make_text, &w};
  wr_candidate_try(a, settings, task->subject, w.report, &inspector);
  struct wr_message head = {.size = sizeof(*w.report)};
  bool sent = wr_mailbox_post(fd, &head, w.report, w.report->ok ? w.result : -1);
  wr_free(w.report);
  return sent ? 0 : 1;
}
