#include "candidate.h"

#include "arena/slot.h"
#include "base/alloc.h"
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
  if (!wr_arena_privatise(a, &error) || !wr_services_init(services, &owner, &error)) {
    fail(report, "start", error.message);
    return;
  }
  services->log.worker = -1;
  load(services, settings, report, bundle, inspector);
  wr_services_fini(services);
  wr_free(services);
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

int wr_candidate_run(struct wr_arena *a, const struct wr_settings *settings, int fd)
{
  // What the clock of the load budget cannot see (a long C function) ends here.
  struct rlimit cpu = {4, 5};
  setrlimit(RLIMIT_CPU, &cpu);
  struct wr_candidate_report *report = wr_alloc(sizeof(*report));
  int bundle = -1;
  static const struct wr_candidate_inspector inspector = {log_warnings, NULL};
  wr_candidate_try(a, settings, report, &bundle, &inspector);
  struct wr_message head = {.size = sizeof(*report)};
  bool sent = wr_mailbox_post(fd, &head, report, bundle);
  wr_free(report);
  return sent ? 0 : 1;
}
