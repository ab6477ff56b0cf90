#include "cli/cli.h"
#include "cli/excerpt.h"
#include "cli/options.h"
#include "process.h"

#include "base/json.h"
#include "policy/generation.h"
#include "script/composition.h"

#include <limits.h>
#include <stdio.h>

enum { REPORT_MAX = 16 * 1024 * 1024 };

// What the composition report is made of and where it goes.
struct findings {
  const char *form;
  const char *main_file;
  struct wr_buf text;
  int warnings; // -1: there is no report, `error` says why
  struct wr_script_error error;
};

static void look(void *ctx, const struct wr_generation *g)
{
  struct findings *f = ctx;
  char folder[PATH_MAX];
  // Places are relative to the main file's folder; shown is what can be opened from here.
  wr_candidate_path(f->main_file, "/", folder, sizeof(folder));
  struct wr_str prefix = wr_str_of(folder);
  prefix.len--;
  f->warnings = wr_composition_report(g->script, f->form, prefix, &f->text, &f->error);
}

static void print_json_failure(const struct wr_candidate_report *report)
{
  struct wr_buf out;
  struct wr_json j;
  wr_buf_init(&out, 64 * 1024);
  wr_json_init(&j, &out);
  wr_json_object(&j);
  wr_json_field_bool(&j, "ok", false);
  wr_json_field_cstr(&j, "stage", report->stage);
  wr_json_field_cstr(&j, "file", report->error.file);
  wr_json_field_uint(&j, "line", (uint64_t)report->error.line);
  wr_json_field_cstr(&j, "message", report->error.message);
  wr_json_object_end(&j);
  printf("%.*s\n", WR_STR_ARG(wr_buf_str(&out)));
  wr_buf_fini(&out);
}

// The report is an object of its own; its fields go on after ours.
static void print_json(const struct wr_candidate_report *report, const struct findings *f)
{
  struct wr_str fields = wr_buf_str(&f->text);
  printf("{\"ok\":true,\"routes\":%u,\"files\":%u,\"selftests\":%u,%.*s\n", report->routes,
         report->files, report->selftests, (int)fields.len - 1, fields.ptr + 1);
}

static void print_problem(const char *main_file, const struct wr_candidate_report *report)
{
  char path[PATH_MAX];
  wr_candidate_path(main_file, report->error.file, path, sizeof(path));
  struct wr_excerpt excerpt = {.stage = report->stage,
                               .file = path,
                               .line = report->error.line,
                               .message = report->error.message,
                               .traceback = report->error.traceback};
  fflush(stdout);
  wr_excerpt_print(stderr, &excerpt);
}

static void print_count(unsigned count, const char *noun)
{
  printf("%u %s%s", count, noun, count == 1 ? "" : "s");
}

static void print_text(const char *file, const struct wr_candidate_report *report,
                       const struct findings *f)
{
  struct wr_str text = wr_buf_str(&f->text);
  if (text.len > 0) printf("%.*s\n", WR_STR_ARG(text));
  printf("%s: fine (", file);
  print_count(report->routes, "route");
  printf(", ");
  print_count(report->listen_count, "listener");
  printf(", ");
  print_count(report->files, "file");
  if (report->selftests > 0) {
    printf(", ");
    print_count(report->selftests, "selftest");
  }
  if (f->warnings > 0) {
    printf(", ");
    print_count((unsigned)f->warnings, "warning");
  }
  printf(")\n");
}

int wr_cli_check(int argc, char **argv)
{
  struct wr_options o;
  if (!wr_options_parse(&o, argc, argv)) return o.exit_code;
  bool is_json = wr_options_get(&o, "json") != NULL;
  struct findings found = {.form = is_json ? "json" : "text", .main_file = o.operands[0]};
  struct wr_settings settings;
  struct wr_candidate_report report;
  wr_buf_init(&found.text, REPORT_MAX);
  wr_process_defaults(&settings);
  settings.log_level = WR_LOG_ERROR;
  settings.file = o.operands[0];
  wr_process_check(&settings, &report, &(struct wr_candidate_inspector){look, &found});
  if (report.ok && found.warnings < 0) {
    report.ok = false;
    snprintf(report.stage, sizeof(report.stage), "check");
    report.error = found.error;
  }
  if (is_json) {
    report.ok ? print_json(&report, &found) : print_json_failure(&report);
  } else {
    report.ok ? print_text(settings.file, &report, &found) : print_problem(settings.file, &report);
  }
  wr_buf_fini(&found.text);
  if (!report.ok) return WR_EXIT_INVALID;
  bool is_refused = found.warnings > 0 && wr_options_get(&o, "strict");
  return is_refused ? WR_EXIT_FAILED : WR_EXIT_OK;
}
