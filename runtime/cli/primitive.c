#include "admin/primitives.h"
#include "base/region.h"
#include "cli/client.h"
#include "cli/columns.h"
#include "cli/order.h"
#include "cli/style.h"
#include "cli/suggest.h"
#include "cli/words.h"
#include "http/uri.h"

#include <jansson.h>
#include <string.h>

enum {
  TIMEOUT_MS = 5000,
  STATUS_OK = 200,
  PATH_ROOM = 4096,
  JSON_FLAGS = JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15),
};

static int refuse_action(const struct wr_options *o, const char *typed)
{
  const char *words[WR_SUGGEST_MAX];
  struct wr_word word;
  size_t count = 0;
  while (count < WR_SUGGEST_MAX && wr_words_at(o->verb, count, &word)) words[count++] = word.name;
  return wr_options_refuse_action(o, typed, words, count);
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
  struct wr_style style = wr_style_of(stdout);
  wr_columns_print(&columns, stdout, &style, title);
  wr_columns_fini(&columns);
}

// The list of the kind, the caller's; NULL with the exit code in `*code` when there is none.
static json_t *fetch(const struct wr_options *o, int *code)
{
  char path[64];
  snprintf(path, sizeof(path), "/%s", wr_primitives_plural(o->verb->name));
  struct wr_client_request request = {.method = "GET", .path = path, .timeout_ms = TIMEOUT_MS};
  struct wr_client_reply reply;
  *code = wr_client_ask(o, &request, &reply);
  if (*code) return NULL;
  json_t *list = json_loadb(wr_buf_str(&reply.body).ptr, reply.body.len, 0, NULL);
  if (reply.status != STATUS_OK || !json_is_array(list)) {
    wr_options_refuse(o, "weir answered with status %ld", reply.status);
    json_decref(list);
    list = NULL;
    *code = WR_EXIT_FAILED;
  }
  wr_buf_fini(&reply.body);
  return list;
}

static const char *name_of(const json_t *list, size_t at)
{
  const char *name = json_string_value(json_object_get(json_array_get(list, at), "name"));
  return name ? name : "";
}

static void print_value(const json_t *value)
{
  json_dumpf(value, stdout, JSON_FLAGS);
  putchar('\n');
}

static int list_all(const struct wr_options *o)
{
  int code;
  json_t *list = fetch(o, &code);
  if (list == NULL) return code;
  if (wr_options_get(o, "names") != NULL) {
    for (size_t i = 0; i < json_array_size(list); i++) {
      wr_style_text(stdout, name_of(list, i));
      putchar('\n');
    }
  } else if (wr_options_get(o, "json") != NULL) {
    print_value(list);
  } else {
    print_list(list, wr_primitives_plural(o->verb->name));
  }
  json_decref(list);
  return WR_EXIT_OK;
}

// "  failure_rate    0.5", and of a list an element a line.
static void print_member(const char *key, const json_t *value)
{
  printf("  %-18s ", key);
  if (json_is_string(value)) {
    wr_style_text(stdout, json_string_value(value));
  } else if (json_is_number(value)) {
    printf("%.15g", json_number_value(value));
  } else if (json_is_boolean(value)) {
    fputs(json_is_true(value) ? "yes" : "no", stdout);
  } else if (json_is_object(value)) {
    const char *inner;
    json_t *part;
    json_object_foreach((json_t *)value, inner, part)
    {
      wr_style_text(stdout, inner);
      putchar('=');
      json_dumpf(part, stdout, JSON_FLAGS);
      putchar(' ');
    }
  } else {
    putchar('-');
  }
  putchar('\n');
}

static void print_members(const json_t *one)
{
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)one, key, value)
  {
    for (size_t i = 0; i < json_array_size(value); i++) {
      print_member(i == 0 ? key : "", json_array_get(value, i));
    }
    if (!json_is_array(value)) print_member(key, value);
  }
}

static int refuse_name(const struct wr_options *o, const json_t *list)
{
  const char *names[WR_SUGGEST_MAX];
  size_t count = json_array_size(list) < WR_SUGGEST_MAX ? json_array_size(list) : WR_SUGGEST_MAX;
  for (size_t i = 0; i < count; i++) names[i] = name_of(list, i);
  const char *meant = wr_suggest_of(o->operands[1], names, count);
  if (meant == NULL) {
    wr_options_refuse(o, "there is no %s '%s'; weir %s ls lists them", o->verb->name,
                      o->operands[1], o->verb->name);
  } else {
    wr_options_refuse(o, "there is no %s '%s' (did you mean '%s'?)", o->verb->name, o->operands[1],
                      meant);
  }
  return WR_EXIT_FAILED;
}

static int show_one(const struct wr_options *o)
{
  int code;
  json_t *list = fetch(o, &code);
  if (list == NULL) return code;
  size_t at = 0;
  while (at < json_array_size(list) && strcmp(name_of(list, at), o->operands[1]) != 0) at++;
  const json_t *one = json_array_get(list, at);
  if (one == NULL) {
    code = refuse_name(o, list);
  } else if (wr_options_get(o, "json") != NULL) {
    print_value(one);
  } else {
    print_members(one);
  }
  json_decref(list);
  return code;
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
  return wr_order_send(o, path);
}

int wr_cli_primitive(int argc, char **argv)
{
  struct wr_options o;
  if (!wr_options_parse(&o, argc, argv)) return o.exit_code;
  const char *word = o.operands[0];
  if (!wr_words_have(o.verb, word)) return refuse_action(&o, word);
  if (strcmp(word, "ls") == 0) {
    if (o.operand_count == 1) return list_all(&o);
    return wr_options_refuse(&o, "unexpected argument '%s'", o.operands[1]);
  }
  if (o.operand_count < 2) return wr_options_refuse(&o, "%s needs a NAME", word);
  if (strcmp(word, "show") != 0) return act(&o);
  if (o.operand_count == 2) return show_one(&o);
  return wr_options_refuse(&o, "unexpected argument '%s'", o.operands[2]);
}
