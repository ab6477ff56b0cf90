#include "admin/primitives.h"
#include "base/check.h"
#include "base/region.h"
#include "cli/client.h"
#include "cli/columns.h"
#include "cli/style.h"
#include "cli/suggest.h"
#include "http/uri.h"

#include <jansson.h>
#include <string.h>

enum { TIMEOUT_MS = 5000, STATUS_OK = 200, PATH_ROOM = 4096 };

static const struct {
  const char *noun, *verb, *argument, *doc;
} actions[] = {
#define WR_ACTION(ENUM, KIND, kind, verb, argument, doc, told) {#kind, #verb, argument, doc},
#include "tables/actions.def"
#undef WR_ACTION
};

static int refuse_action(const struct wr_options *o, const char *typed)
{
  const char *words[WR_SUGGEST_MAX] = {"ls"};
  size_t count = 1;
  for (size_t i = 0; i < WR_COUNT(actions) && count < WR_SUGGEST_MAX; i++) {
    if (strcmp(actions[i].noun, o->verb->name) == 0) words[count++] = actions[i].verb;
  }
  return wr_options_refuse_action(o, typed, words, count);
}

static bool is_action(const char *noun, const char *verb)
{
  for (size_t i = 0; i < WR_COUNT(actions); i++) {
    if (strcmp(actions[i].noun, noun) == 0 && strcmp(actions[i].verb, verb) == 0) return true;
  }
  return false;
}

// The list: one column for each member of the first element.

static void add_cell(struct wr_columns *c, const json_t *value)
{
  if (json_is_string(value)) {
    wr_columns_cell(c, "%s", json_string_value(value));
  } else if (json_is_number(value)) {
    wr_columns_cell(c, "%.6g", json_number_value(value));
  } else if (json_is_boolean(value)) {
    wr_columns_cell(c, json_is_true(value) ? "yes" : "no");
  } else {
    wr_columns_cell(c, "-");
  }
}

static void print_list(const json_t *list, const char *title)
{
  struct wr_column heads[WR_COLUMNS_MAX];
  size_t width = 0;
  const char *key;
  json_t *value;
  json_object_foreach(json_array_get(list, 0), key, value)
  {
    if (width < WR_COLUMNS_MAX) heads[width++] = (struct wr_column){key, json_is_number(value)};
  }
  if (width == 0) {
    printf("no %s\n", title);
    return;
  }
  struct wr_columns columns;
  wr_columns_init(&columns, heads, width);
  for (size_t i = 0; i < json_array_size(list); i++) {
    wr_columns_row(&columns, "");
    for (size_t k = 0; k < width; k++) {
      add_cell(&columns, json_object_get(json_array_get(list, i), heads[k].head));
    }
  }
  wr_columns_print(&columns, stdout, title);
  wr_columns_fini(&columns);
}

static void print_answer(const struct wr_options *o, const struct wr_client_reply *reply)
{
  json_t *answer = json_loadb(wr_buf_str(&reply->body).ptr, reply->body.len, 0, NULL);
  const char *message = json_string_value(json_object_get(answer, "message"));
  if (json_is_array(answer)) {
    print_list(answer, wr_primitives_plural(o->verb->name));
  } else if (reply->status == STATUS_OK) {
    wr_style_text(stdout, message ? message : "done");
    putchar('\n');
  } else {
    fprintf(stderr, "weir %s: ", o->verb->name);
    wr_style_text(stderr, message ? message : "weir refused");
    fputc('\n', stderr);
  }
  json_decref(answer);
}

// Sends the request and shows what came of it.
static int ask(const struct wr_options *o, const char *method, const char *path)
{
  struct wr_client_request request = {method, path, TIMEOUT_MS};
  struct wr_client_reply reply;
  int failed = wr_client_ask(o, &request, &reply);
  if (failed) return failed;
  if (wr_options_get(o, "json") != NULL) {
    printf("%.*s\n", WR_STR_ARG(wr_buf_str(&reply.body)));
  } else {
    print_answer(o, &reply);
  }
  wr_buf_fini(&reply.body);
  return reply.status == STATUS_OK ? WR_EXIT_OK : WR_EXIT_FAILED;
}

static int act(const struct wr_options *o)
{
  struct wr_region region;
  char path[PATH_ROOM];
  wr_region_init(&region, PATH_ROOM);
  struct wr_str name = wr_uri_encode(wr_str_of(o->operands[1]), &region);
  struct wr_str value = {"", 0};
  if (o->operand_count > 2) value = wr_uri_encode(wr_str_of(o->operands[2]), &region);
  int len = -1;
  if (name.ptr && value.ptr) {
    len = snprintf(path, sizeof(path), "/%s/%s?name=%.*s%s%.*s",
                   wr_primitives_plural(o->verb->name), o->operands[0], WR_STR_ARG(name),
                   o->operand_count > 2 ? "&value=" : "", WR_STR_ARG(value));
  }
  wr_region_fini(&region);
  if (len < 0 || (size_t)len >= sizeof(path)) return wr_options_refuse(o, "that is too long");
  return ask(o, "POST", path);
}

int wr_cli_primitive(int argc, char **argv)
{
  struct wr_options o;
  if (!wr_options_parse(&o, argc, argv)) return o.exit_code;
  const char *verb = o.operands[0];
  if (strcmp(verb, "ls") == 0 && o.operand_count == 1) {
    char path[64];
    snprintf(path, sizeof(path), "/%s", wr_primitives_plural(o.verb->name));
    return ask(&o, "GET", path);
  }
  if (!is_action(o.verb->name, verb)) return refuse_action(&o, verb);
  if (o.operand_count < 2) return wr_options_refuse(&o, "%s needs a NAME", verb);
  return act(&o);
}
