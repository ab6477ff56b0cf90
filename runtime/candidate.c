#include "candidate.h"

#include "arena/slot.h"
#include "base/alloc.h"
#include "base/memfd.h"
#include "loop/mailbox.h"
#include "policy/generation.h"
#include "script/composition.h"

#include <stdio.h>
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

static void describe(struct wr_candidate_report *report, const struct wr_generation *g, int *bundle)
{
  struct wr_error error;
  report->hash = wr_source_hash(g->source);
  report->files = (uint32_t)g->source->count;
  report->routes = (uint32_t)wr_route_count(g->routes);
  report->ok = read_listens(report, g);
  if (!report->ok) return;
  *bundle = wr_source_pack(g->source, &error);
  if (*bundle < 0) fail(report, "read", error.message);
}

static void load(struct wr_services *services, const struct wr_settings *settings,
                 struct wr_candidate_report *report, int *bundle,
                 const struct wr_candidate_inspector *inspector)
{
  struct wr_error error;
  struct wr_generation_error problem;
  struct wr_source *source = wr_source_open(settings->file, &error);
  if (source == NULL) {
    fail(report, "read", error.message);
    return;
  }
  struct wr_generation *g = wr_generation_load(&services->env, 1, source, &problem);
  if (g == NULL) {
    snprintf(report->stage, sizeof(report->stage), "%s", problem.stage);
    report->error = problem.script;
    return;
  }
  describe(report, g, bundle);
  if (inspector && report->ok) inspector->look(inspector->ctx, g);
  wr_generation_free(g);
}

void wr_candidate_try(struct wr_arena *a, const struct wr_settings *settings,
                      struct wr_candidate_report *report, int *bundle,
                      const struct wr_candidate_inspector *inspector)
{
  struct wr_services *services = wr_alloc(sizeof(*services));
  struct wr_services_owner owner = {a, wr_slot_master(a), settings, {0}};
  struct wr_error error = {0};
  *report = (struct wr_candidate_report){0};
  *bundle = -1;
  if (!wr_arena_privatise(a, &error) || !wr_services_init(services, &owner, &error) ||
      !wr_confine_child(&settings->confine, WR_FILTER_TRIAL, &error)) {
    fail(report, "start", error.message);
    return;
  }
  services->log.worker = -1;
  load(services, settings, report, bundle, inspector);
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

// What `weir check` would warn of, as log lines: it fails nothing.
static void log_warnings(void *ctx, const struct wr_generation *g)
{
  (void)ctx;
  struct wr_script_error error;
  struct wr_buf unused;
  wr_buf_init(&unused, 1);
  struct wr_script *s = g->script;
  if (wr_composition_report(s, "log", WR_STR(""), &unused, &error) < 0) {
    wr_log_text(s->env->log, WR_LOG_ERROR, "policy.warning", "%s", error.message);
  }
  wr_buf_fini(&unused);
}

// --- a dry run ----------------------------------------------------------------------------------

enum { CHANGES_MAX = 4 * 1024 * 1024 };

struct comparison {
  struct wr_source *live; // the bundle to compare with; NULL once it was loaded
  struct wr_buf out;      // what would change
  bool is_done;
  struct wr_script_error error;
};

// What the live bundle declared, read from a state of its own.
static bool append_facts(struct comparison *c, const struct wr_generation *g, struct wr_buf *out)
{
  struct wr_generation_error problem;
  struct wr_generation *before = wr_generation_load(g->script->env, 2, c->live, &problem);
  c->live = NULL;
  if (before == NULL) {
    c->error = problem.script;
    return false;
  }
  bool ok = wr_composition_facts(before->script, out, &c->error);
  wr_generation_free(before);
  return ok;
}

static void compare(void *ctx, const struct wr_generation *g)
{
  struct comparison *c = ctx;
  struct wr_buf files;
  struct wr_buf facts;
  wr_buf_init(&files, CHANGES_MAX);
  wr_buf_init(&facts, CHANGES_MAX);
  wr_source_differ(c->live, g->source, &files);
  c->is_done =
      append_facts(c, g, &facts) &&
      wr_composition_changes(g->script, wr_buf_str(&facts), wr_buf_str(&files), &c->out, &c->error);
  wr_buf_fini(&files);
  wr_buf_fini(&facts);
}

// What would change takes the bundle's place beside the report.
static void dry_run(struct wr_arena *a, const struct wr_settings *settings, struct wr_source *live,
                    struct wr_candidate_report *report, int *bundle)
{
  struct comparison c = {.live = live};
  wr_buf_init(&c.out, CHANGES_MAX);
  wr_candidate_try(a, settings, report, bundle, &(struct wr_candidate_inspector){compare, &c});
  if (*bundle >= 0) close(*bundle);
  *bundle = -1;
  if (report->ok && c.is_done) {
    *bundle = wr_memfd_new("weir-changes", wr_buf_str(&c.out));
  } else if (report->ok) {
    fail(report, "compare", "");
    report->error = c.error;
  }
  wr_source_free(c.live);
  wr_buf_fini(&c.out);
}

int wr_candidate_run(struct wr_arena *a, const struct wr_settings *settings, struct wr_source *live,
                     int fd)
{
  // What the clock of the load budget cannot see (a long C function) ends here.
  struct rlimit cpu = {4, 5};
  setrlimit(RLIMIT_CPU, &cpu);
  struct wr_candidate_report *report = wr_alloc(sizeof(*report));
  int bundle = -1;
  static const struct wr_candidate_inspector inspector = {log_warnings, NULL};
  if (live != NULL) {
    dry_run(a, settings, live, report, &bundle);
  } else {
    wr_candidate_try(a, settings, report, &bundle, &inspector);
  }
  struct wr_message head = {.size = sizeof(*report)};
  bool sent = wr_mailbox_post(fd, &head, report, bundle);
  wr_free(report);
  return sent ? 0 : 1;
}
