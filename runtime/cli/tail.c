#include "cli/client.h"
#include "cli/query.h"
#include "cli/sections.h"
#include "cli/style.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { STATUS_OK = 200, LINE_MAX_BYTES = 1 << 16 };

struct tail {
  struct wr_buf line; // of which the end has not come
  struct wr_query *query;
  struct wr_style style;
  bool is_json;
  uint64_t left; // lines to show
};

// --- for people ---------------------------------------------------------------------------------

// The time of day of a stamp.
static void print_time(const json_t *line)
{
  const char *stamp = wr_sections_text(line, "timestamp");
  const char *time = strchr(stamp, 'T');
  printf("%.12s ", time ? time + 1 : stamp);
}

static void print_value(const json_t *value)
{
  if (json_is_string(value)) {
    wr_style_text(stdout, json_string_value(value));
  } else {
    json_dumpf(value, stdout, JSON_ENCODE_ANY | JSON_COMPACT);
  }
}

// All fields but those that were shown already.
static void print_rest(const struct tail *t, const json_t *line, const char *const *shown)
{
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)line, key, value)
  {
    bool is_shown = false;
    for (size_t i = 0; shown[i]; i++) is_shown |= strcmp(shown[i], key) == 0;
    if (is_shown) continue;
    printf(" %s", t->style.dim);
    wr_style_text(stdout, key);
    printf("=%s", t->style.reset);
    print_value(value);
  }
}

static void print_access(const struct tail *t, const json_t *line)
{
  static const char *const shown[] = {"timestamp", "level",       "event", "method",  "path",
                                      "status",    "duration_ms", "why",   "version", NULL};
  json_int_t status = json_integer_value(json_object_get(line, "status"));
  const char *colour = status >= 500 || status == 0 ? t->style.red
                       : status >= 400              ? t->style.yellow
                                                    : t->style.green;
  printf("%s%lld%s ", colour, status, t->style.reset);
  wr_style_text(stdout, wr_sections_text(line, "method"));
  putchar(' ');
  wr_style_text(stdout, wr_sections_text(line, "path"));
  printf(" %s%s%s %.1f ms", colour, wr_sections_text(line, "why"), t->style.reset,
         json_number_value(json_object_get(line, "duration_ms")));
  print_rest(t, line, shown);
}

static void print_event(const struct tail *t, const json_t *line)
{
  static const char *const shown[] = {"timestamp", "level", "event", "message", NULL};
  const char *level = wr_sections_text(line, "level");
  const char *colour = strcmp(level, "error") == 0  ? t->style.red
                       : strcmp(level, "warn") == 0 ? t->style.yellow
                                                    : t->style.bold;
  const char *message = json_string_value(json_object_get(line, "message"));
  fputs(colour, stdout);
  wr_style_text(stdout, wr_sections_text(line, "event"));
  fputs(t->style.reset, stdout);
  if (message) putchar(' ');
  if (message) wr_style_text(stdout, message);
  print_rest(t, line, shown);
}

static void print_line(const struct tail *t, const json_t *line)
{
  print_time(line);
  if (strcmp(wr_sections_text(line, "event"), "access") == 0) {
    print_access(t, line);
  } else {
    print_event(t, line);
  }
  putchar('\n');
}

// --- reading ------------------------------------------------------------------------------------

// What was missed is told whatever the query.
static void on_line(struct tail *t, struct wr_str text)
{
  if (t->left == 0) return;
  json_t *line = json_loadb(text.ptr, text.len, 0, NULL);
  const char *event = json_string_value(json_object_get(line, "event"));
  bool is_missed = event && strcmp(event, "tail.missed") == 0;
  if (line && (is_missed || wr_query_fits(t->query, line))) {
    t->left--;
    if (t->is_json) {
      printf("%.*s\n", WR_STR_ARG(text));
    } else {
      print_line(t, line);
    }
  }
  json_decref(line);
}

// False ends it: who reads our output has gone, or has what was asked for.
static bool on_data(void *ctx, struct wr_str data)
{
  struct tail *t = ctx;
  while (data.len > 0) {
    const char *end = memchr(data.ptr, '\n', data.len);
    size_t len = end ? (size_t)(end - data.ptr) : data.len;
    if (!wr_buf_append(&t->line, data.ptr, len)) wr_buf_clear(&t->line); // no line of weir's
    if (end == NULL) break;
    on_line(t, wr_buf_str(&t->line));
    wr_buf_clear(&t->line);
    data = (struct wr_str){end + 1, data.len - len - 1};
  }
  return fflush(stdout) == 0 && t->left > 0;
}

int wr_cli_tail(int argc, char **argv)
{
  struct wr_options o;
  struct wr_error error;
  if (!wr_options_parse(&o, argc, argv)) return o.exit_code;
  struct tail t = {.style = wr_style_of(stdout), .is_json = wr_options_get(&o, "json") != NULL};
  t.left = UINT64_MAX;
  if (!wr_options_number(&o, "count", 1, UINT32_MAX, &t.left)) return o.exit_code;
  const char *query = wr_options_get(&o, "query");
  if (query != NULL) {
    t.query = wr_query_new(query, &error);
    if (t.query == NULL) return wr_options_refuse(&o, "--query '%s': %s", query, error.message);
  }
  wr_buf_init(&t.line, LINE_MAX_BYTES);
  struct wr_client_request request = {
      .method = "GET", .path = "/lines", .on_data = on_data, .ctx = &t};
  struct wr_client_reply reply;
  int failed = wr_client_ask(&o, &request, &reply);
  if (!failed && reply.status != STATUS_OK) {
    failed = WR_EXIT_FAILED;
    wr_options_refuse(&o, "%.*s", WR_STR_ARG(wr_buf_str(&reply.body)));
  }
  if (!failed) wr_buf_fini(&reply.body);
  wr_buf_fini(&t.line);
  wr_query_free(t.query);
  return failed;
}
