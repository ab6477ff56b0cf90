#include "base/check.h"
#include "cli/age.h"
#include "cli/answer.h"
#include "cli/columns.h"
#include "cli/style.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_TIMEOUT_MS = 5000, STATUS_OK = 200, PATH_ROOM = 160 };

// --- the list -----------------------------------------------------------------------------------

static const struct wr_column heads[] = {
    {"generation", true}, {"state", false}, {"age", true},    {"requests", true},
    {"served", true},     {"MiB", true},    {"routes", true}, {"hash", false},
};

static void add_count(struct wr_columns *c, const json_t *row, const char *key)
{
  const json_t *value = json_object_get(row, key);
  if (json_is_number(value)) {
    wr_columns_cell(c, "%.0f", json_number_value(value));
  } else {
    wr_columns_cell(c, "-");
  }
}

static const char *text_of(const json_t *row, const char *key)
{
  const char *text = json_string_value(json_object_get(row, key));
  return text ? text : "-";
}

static void add_row(struct wr_columns *c, const json_t *row, const struct wr_style *style)
{
  char age[WR_AGE_SIZE];
  const char *state = text_of(row, "state");
  bool is_live = strcmp(state, "live") == 0;
  bool is_bad = json_object_get(row, "why") != NULL;
  wr_columns_row(c, is_bad ? style->red : is_live ? style->green : "");
  add_count(c, row, "number");
  wr_columns_cell(c, "%s", state);
  wr_columns_cell(c, "%s", wr_age_text(json_object_get(row, "age_s"), age));
  add_count(c, row, "requests");
  add_count(c, row, "served");
  wr_columns_cell(c, "%.1f", json_number_value(json_object_get(row, "bytes")) / (1 << 20));
  add_count(c, row, "routes");
  wr_columns_cell(c, "%s", text_of(row, "hash"));
}

// Why the failed ones did.
static void print_reasons(const json_t *list)
{
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *row = json_array_get(list, i);
    const json_t *number = json_object_get(row, "number");
    if (json_object_get(row, "why") == NULL) continue;
    if (number != NULL) printf("generation %lld: ", json_integer_value(number));
    if (number == NULL) fputs("the last reload: ", stdout);
    wr_style_text(stdout, text_of(row, "why"));
    putchar('\n');
  }
}

static void print_list(const struct wr_client_reply *reply)
{
  json_t *list = json_loadb(wr_buf_str(&reply->body).ptr, reply->body.len, 0, NULL);
  struct wr_style style = wr_style_of(stdout);
  struct wr_columns columns;
  wr_columns_init(&columns, heads, WR_COUNT(heads));
  for (size_t i = 0; i < json_array_size(list); i++) {
    add_row(&columns, json_array_get(list, i), &style);
  }
  if (json_array_size(list) == 0) puts("no generation is active");
  wr_columns_print(&columns, stdout, &style, "generations");
  print_reasons(list);
  wr_columns_fini(&columns);
  json_decref(list);
}

static int list(const struct wr_options *o)
{
  struct wr_client_request request = {
      .method = "GET", .path = "/generations", .timeout_ms = LIST_TIMEOUT_MS};
  struct wr_client_reply reply;
  int failed = wr_client_ask(o, &request, &reply);
  if (failed) return failed;
  if (reply.status != STATUS_OK || wr_options_get(o, "json") != NULL) {
    printf("%.*s\n", WR_STR_ARG(wr_buf_str(&reply.body)));
  } else {
    print_list(&reply);
  }
  wr_buf_fini(&reply.body);
  return reply.status == STATUS_OK ? WR_EXIT_OK : WR_EXIT_FAILED;
}

// --- orders -------------------------------------------------------------------------------------

struct action {
  const char *name;
  const char *method;
  const char *path;
  const char *keys[2]; // of its operands, all numbers of generations
  size_t needed;       // of them
};

static const struct action actions[] = {
    {"list", "GET", "/generations", {NULL, NULL}, 0},
    {"ls", "GET", "/generations", {NULL, NULL}, 0},
    {"show", "GET", "/generations/show", {"of", NULL}, 0},
    {"diff", "GET", "/generations/changes", {"from", "to"}, 0},
    {"use", "POST", "/generations/use", {"number", NULL}, 1},
    {"rollback", "POST", "/generations/rollback", {NULL, NULL}, 0},
    {"promote", "POST", "/generations/promote", {NULL, NULL}, 0},
};

static int refuse_action(const struct wr_options *o, const char *typed)
{
  const char *words[WR_COUNT(actions)];
  for (size_t i = 0; i < WR_COUNT(actions); i++) words[i] = actions[i].name;
  return wr_options_refuse_action(o, typed, words, WR_COUNT(words));
}

static bool is_number(const char *text)
{
  size_t len = strlen(text);
  return len > 0 && len < 19 && text[0] != '0' && strspn(text, "0123456789") == len;
}

// What is wrong with the operands behind the action; 0: nothing.
static int check_operands(const struct wr_options *o, const struct action *a)
{
  size_t count = o->operand_count - 1;
  size_t most = a->keys[1] != NULL ? 2 : a->keys[0] != NULL ? 1 : 0;
  if (count < a->needed) return wr_options_refuse(o, "%s: which generation?", a->name);
  if (count > most) {
    return wr_options_refuse(o, "%s: '%s' is one operand too many", a->name, o->operands[most + 1]);
  }
  for (size_t i = 0; i < count; i++) {
    if (is_number(o->operands[i + 1])) continue;
    return wr_options_refuse(o, "%s: '%s' is not a generation's number, see weir policy list",
                             a->name, o->operands[i + 1]);
  }
  return 0;
}

static int give_order(const struct wr_options *o, const struct action *a)
{
  char path[PATH_ROOM];
  const char *force = wr_options_get(o, "force") != NULL ? "force=1&" : "";
  size_t len = (size_t)snprintf(path, sizeof(path), "%s?%s", a->path, force);
  for (size_t i = 0; i + 1 < o->operand_count; i++) {
    len +=
        (size_t)snprintf(path + len, sizeof(path) - len, "%s=%s&", a->keys[i], o->operands[i + 1]);
  }
  path[len - 1] = '\0';
  return wr_answer_ask(o, &(struct wr_client_request){.method = a->method,
                                                      .path = path,
                                                      .timeout_ms = WR_ANSWER_TIMEOUT_MS});
}

int wr_cli_policy(int argc, char **argv)
{
  struct wr_options o;
  if (!wr_options_parse(&o, argc, argv)) return o.exit_code;
  size_t i = 0;
  while (i < WR_COUNT(actions) && strcmp(actions[i].name, o.operands[0]) != 0) i++;
  if (i == WR_COUNT(actions)) return refuse_action(&o, o.operands[0]);
  int refused = check_operands(&o, &actions[i]);
  if (refused) return refused;
  return strcmp(actions[i].path, "/generations") == 0 ? list(&o) : give_order(&o, &actions[i]);
}
