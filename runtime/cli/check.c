#include "cli/cli.h"
#include "cli/excerpt.h"
#include "cli/options.h"
#include "process.h"

#include "base/json.h"
#include "policy/generation.h"

#include <limits.h>
#include <stdio.h>

static void print_json(const struct wr_candidate_report *report)
{
  struct wr_buf out;
  struct wr_json j;
  wr_buf_init(&out, 64 * 1024);
  wr_json_init(&j, &out);
  wr_json_object(&j);
  wr_json_field_bool(&j, "ok", report->ok);
  if (report->ok) {
    wr_json_field_uint(&j, "routes", report->routes);
    wr_json_field_uint(&j, "files", report->files);
  } else {
    wr_json_field_cstr(&j, "stage", report->stage);
    wr_json_field_cstr(&j, "file", report->error.file);
    wr_json_field_uint(&j, "line", (uint64_t)report->error.line);
    wr_json_field_cstr(&j, "message", report->error.message);
  }
  wr_json_object_end(&j);
  printf("%.*s\n", WR_STR_ARG(wr_buf_str(&out)));
  wr_buf_fini(&out);
}

static void print_routes(const struct wr_generation *g)
{
  struct wr_route_row row;
  for (size_t i = 0; wr_route_row(g->routes, i, &row); i++) {
    printf("  %-8s %s%s%s  %s\n", row.methods, row.host ? row.host : "", row.host ? " " : "",
           row.path, row.place);
  }
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

static void print_report(const char *file, const struct wr_candidate_report *report)
{
  if (!report->ok) {
    print_problem(file, report);
    return;
  }
  printf("%s: fine (%u routes, %u listeners, %u files)\n", file, report->routes,
         report->listen_count, report->files);
}

int wr_cli_check(int argc, char **argv)
{
  struct wr_options o;
  if (!wr_options_parse(&o, argc, argv)) return o.exit_code;
  bool is_json = wr_options_get(&o, "json") != NULL;
  struct wr_settings settings;
  struct wr_candidate_report report;
  wr_process_defaults(&settings);
  settings.log_level = WR_LOG_ERROR;
  settings.file = o.operands[0];
  wr_process_check(&settings, &report, is_json ? NULL : print_routes);
  if (is_json) {
    print_json(&report);
  } else {
    print_report(settings.file, &report);
  }
  return report.ok ? WR_EXIT_OK : WR_EXIT_INVALID;
}
