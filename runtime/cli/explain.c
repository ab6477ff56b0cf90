#include "cli/explain.h"

#include "base/check.h"
#include "cli/client.h"
#include "cli/columns.h"
#include "cli/sections.h"
#include "cli/style.h"
#include "http/uri.h"

#include <stdio.h>
#include <string.h>

enum { TIMEOUT_MS = 5000, STATUS_OK = 200, PATH_MAX_BYTES = 2048 };

// --- one request --------------------------------------------------------------------------------

// What comes first: "breaker", "attempt 2", "retry".
static void print_what(const json_t *link)
{
  const char *kind = json_string_value(json_object_get(link, "kind"));
  char text[64];
  json_int_t number = json_integer_value(json_object_get(link, "number"));
  int len = snprintf(text, sizeof(text), "%s", kind ? kind : wr_sections_text(link, "what"));
  if (number > 0) snprintf(text + len, sizeof(text) - (size_t)len, " %lld", number);
  printf("%-12s ", text);
}

static void print_result(const json_t *link, const struct wr_style *style)
{
  json_int_t status = json_integer_value(json_object_get(link, "status"));
  const char *result = wr_sections_text(link, "result");
  static const char *const fine[] = {"admitted", "answered", "retry",     "hit",  "on",
                                     "off",      "stored",   "sent_slow", "miss", "primary"};
  bool is_fine = status > 0 && status < 500;
  for (size_t i = 0; status == 0 && i < WR_COUNT(fine); i++) is_fine |= !strcmp(result, fine[i]);
  fputs(is_fine ? "" : style->red, stdout);
  if (status > 0) {
    printf("%lld", status);
  } else {
    wr_style_text(stdout, result);
  }
  fputs(style->reset, stdout);
}

static void print_times(const json_t *link)
{
  const json_t *took = json_object_get(link, "took_ms");
  const json_t *delay = json_object_get(link, "delay_ms");
  if (json_is_null(took)) fputs(", not ended", stdout);
  if (json_number_value(took) > 0) printf(" after %.1f ms", json_number_value(took));
  if (delay != NULL) printf(" in %.1f ms", json_number_value(delay));
}

// What stands behind the name: of an attempt, of a layer of time.
static const char *const details[] = {"endpoint", "limit"};

static void print_link(const json_t *link, const struct wr_style *style)
{
  const char *policy = json_string_value(json_object_get(link, "policy"));
  const char *name = wr_sections_text(link, "name");
  const char *message = json_string_value(json_object_get(link, "message"));
  printf("%9.1f ms  ", json_number_value(json_object_get(link, "at_ms")));
  print_what(link);
  wr_style_text(stdout, name);
  for (size_t i = 0; i < WR_COUNT(details); i++) {
    if (json_object_get(link, details[i]) == NULL) continue;
    putchar(' ');
    wr_style_text(stdout, wr_sections_text(link, details[i]));
  }
  if (policy && strcmp(policy, name) != 0) printf(" %s(of %s)%s", style->dim, policy, style->reset);
  fputs(": ", stdout);
  print_result(link, style);
  print_times(link);
  putchar('\n');
  if (message == NULL) return;
  printf("%25s %s", "", style->dim);
  wr_style_text(stdout, message);
  printf("%s\n", style->reset);
}

static void print_request(const json_t *r)
{
  struct wr_style style = wr_style_of(stdout);
  const json_t *chain = json_object_get(r, "chain");
  const char *message = json_string_value(json_object_get(r, "message"));
  fputs(style.bold, stdout);
  wr_style_text(stdout, wr_sections_text(r, "method"));
  putchar(' ');
  wr_style_text(stdout, wr_sections_text(r, "path"));
  printf("%s: %lld %s, %.1f ms\n", style.reset, json_integer_value(json_object_get(r, "status")),
         wr_sections_text(r, "why"), json_number_value(json_object_get(r, "duration_ms")));
  printf("%s, request ", wr_sections_text(r, "timestamp"));
  wr_style_text(stdout, wr_sections_text(r, "request_id"));
  printf(", of %s, route %s, generation %lld, worker %lld\n\n", wr_sections_text(r, "client"),
         wr_sections_text(r, "route"), json_integer_value(json_object_get(r, "generation")),
         json_integer_value(json_object_get(r, "worker")));
  for (size_t i = 0; i < json_array_size(chain); i++) print_link(json_array_get(chain, i), &style);
  if (json_array_size(chain) == 0) puts("no primitive and no upstream was asked");
  json_int_t left_out = json_integer_value(json_object_get(r, "left_out"));
  if (left_out > 0)
    printf("%9s     and %lld more decisions that there was no room for\n", "", left_out);
  if (message == NULL) return;
  printf("\n%s: ", wr_sections_text(r, "error"));
  wr_style_text(stdout, message);
  putchar('\n');
}

// --- the list -----------------------------------------------------------------------------------

static void print_list(const json_t *list)
{
  static const struct wr_column heads[] = {
      {"at", false},    {"request", false}, {"method", false}, {"path", false},
      {"status", true}, {"why", false},     {"ms", true},
  };
  struct wr_style style = wr_style_of(stdout);
  struct wr_columns c;
  wr_columns_init(&c, heads, WR_COUNT(heads));
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *r = json_array_get(list, i);
    json_int_t status = json_integer_value(json_object_get(r, "status"));
    const char *stamp = wr_sections_text(r, "timestamp");
    const char *time = strchr(stamp, 'T');
    wr_columns_row(&c, status >= 500 || status == 0 ? style.red : "");
    wr_columns_cell(&c, "%.12s", time ? time + 1 : stamp);
    wr_columns_cell(&c, "%s", wr_sections_text(r, "request_id"));
    wr_columns_cell(&c, "%s", wr_sections_text(r, "method"));
    wr_columns_cell(&c, "%s", wr_sections_text(r, "path"));
    wr_columns_cell(&c, "%lld", status);
    wr_columns_cell(&c, "%s", wr_sections_text(r, "why"));
    wr_columns_cell(&c, "%.1f", json_number_value(json_object_get(r, "duration_ms")));
  }
  if (json_array_size(list) == 0) puts("no request is kept");
  wr_columns_print(&c, stdout, &style, "requests");
  wr_columns_fini(&c);
}

// --- asking -------------------------------------------------------------------------------------

static int tell(const struct wr_options *o, const char *path, void (*print)(const json_t *answer))
{
  struct wr_client_request request = {.method = "GET", .path = path, .timeout_ms = TIMEOUT_MS};
  struct wr_client_reply reply;
  int failed = wr_client_ask(o, &request, &reply);
  if (failed) return failed;
  json_t *answer = json_loadb(wr_buf_str(&reply.body).ptr, reply.body.len, 0, NULL);
  if (wr_options_get(o, "json") != NULL) {
    printf("%.*s\n", WR_STR_ARG(wr_buf_str(&reply.body)));
  } else if (reply.status == STATUS_OK) {
    print(answer);
  } else {
    fputs("weir explain: ", stderr);
    wr_style_text(stderr, wr_sections_text(answer, "message"));
    fputc('\n', stderr);
  }
  json_decref(answer);
  wr_buf_fini(&reply.body);
  return reply.status == STATUS_OK ? WR_EXIT_OK : WR_EXIT_FAILED;
}

static int show(const struct wr_options *o, const char *id)
{
  struct wr_region region;
  char path[PATH_MAX_BYTES];
  wr_region_init(&region, sizeof(path));
  struct wr_str escaped = wr_uri_encode(wr_str_of(id), &region);
  int len = -1;
  if (escaped.ptr) {
    len = snprintf(path, sizeof(path), "/requests/show?id=%.*s", WR_STR_ARG(escaped));
  }
  wr_region_fini(&region);
  if (len < 0 || (size_t)len >= sizeof(path)) {
    return wr_options_refuse(o, "a request id has at most 128 bytes");
  }
  return tell(o, path, print_request);
}

int wr_cli_explain(int argc, char **argv)
{
  struct wr_options o;
  char path[PATH_MAX_BYTES];
  if (!wr_options_parse(&o, argc, argv)) return o.exit_code;
  const char *dry = wr_options_get(&o, "dry");
  if (dry != NULL) {
    if (o.operand_count > 0) return wr_options_refuse(&o, "--dry takes no request id beside it");
    return wr_explain_dry(&o, dry);
  }
  if (o.operand_count == 0) {
    const char *failed = wr_options_get(&o, "failed") ? "&failed=1" : "";
    snprintf(path, sizeof(path), "/requests?limit=50%s", failed);
    return tell(&o, path, print_list);
  }
  return show(&o, o.operands[0]);
}
