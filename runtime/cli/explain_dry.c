#include "base/region.h"
#include "cli/client.h"
#include "cli/explain.h"
#include "cli/style.h"
#include "http/uri.h"
#include "policy/route.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { TIMEOUT_MS = 30000, STATUS_OK = 200, REGION_MAX = 1 << 20, TITLE_SIZE = 512 };

// --- the route ----------------------------------------------------------------------------------

// "route GET /users/:id of shop.test" is what a bundle's facts call one.
static void add_route(struct wr_route_table *table, json_t *fact)
{
  char title[WR_ROUTE_PATTERN_MAX + 512];
  struct wr_error error;
  snprintf(title, sizeof(title), "%s", json_string_value(json_object_get(fact, "what")));
  if (strncmp(title, "route ", 6) != 0) return;
  char *host = strstr(title, " of ");
  if (host != NULL) *host = '\0';
  struct wr_route_new route = {host ? host + 4 : NULL, title + 6, "", fact};
  wr_route_add(table, &route, &error);
}

struct asked {
  struct wr_str method, host, path;
};

static const json_t *find_route(const json_t *facts, const struct asked *asked,
                                struct wr_route_found *found)
{
  struct wr_route_table *table = wr_route_table_new();
  const json_t *declared = json_object_get(facts, "declared");
  for (size_t i = 0; i < json_array_size(declared); i++) {
    add_route(table, json_array_get(declared, i));
  }
  enum wr_route_match match = wr_route_find(table, asked->method, asked->host, asked->path, found);
  const json_t *route = match == WR_ROUTE_FOUND ? found->target : NULL;
  if (match == WR_ROUTE_NO_PATH) puts("no route has this path: 404");
  if (match == WR_ROUTE_NO_METHOD) {
    printf("no route of this path takes this method: 405, there are %s\n", found->allow);
  }
  for (size_t i = 0; route && i < found->count; i++) {
    printf("  :%.*s is '%.*s'\n", WR_STR_ARG(found->params[i].name),
           WR_STR_ARG(found->params[i].value));
  }
  wr_route_table_free(table);
  return route;
}

// --- what it leads to ---------------------------------------------------------------------------

static void print_options(const json_t *options, const char *skipped)
{
  const char *key;
  json_t *value;
  const char *between = "";
  json_object_foreach((json_t *)options, key, value)
  {
    if (strstr(skipped, key) != NULL) continue;
    printf("%s%s ", between, key);
    wr_style_text(stdout, json_string_value(value));
    between = ", ";
  }
  putchar('\n');
}

static const json_t *fact_of(const json_t *facts, const char *what)
{
  const json_t *declared = json_object_get(facts, "declared");
  for (size_t i = 0; i < json_array_size(declared); i++) {
    const json_t *fact = json_array_get(declared, i);
    if (strcmp(json_string_value(json_object_get(fact, "what")), what) == 0) return fact;
  }
  return NULL;
}

// The layers of a policy in their order: "deadline > retry > breaker".
static void print_policy(const json_t *facts, const char *name)
{
  struct wr_style style = wr_style_of(stdout);
  char what[TITLE_SIZE];
  snprintf(what, sizeof(what), "policy '%s'", name);
  const json_t *fact = fact_of(facts, what);
  if (fact == NULL) return;
  const json_t *options = json_object_get(fact, "options");
  struct wr_str layers = wr_str_of(json_string_value(json_object_get(options, "layers")));
  printf("%s%s%s\n", style.bold, what, style.reset);
  while (layers.ptr != NULL) {
    struct wr_str layer = wr_str_trim(wr_str_split(&layers, '>'));
    snprintf(what, sizeof(what), "policy '%s': %.*s", name, WR_STR_ARG(layer));
    const json_t *of_layer = fact_of(facts, what);
    printf("  %-12.*s ", WR_STR_ARG(layer));
    if (of_layer != NULL) print_options(json_object_get(of_layer, "options"), "");
    if (of_layer == NULL) putchar('\n');
  }
}

static void print_upstream(const json_t *facts, const char *name)
{
  struct wr_style style = wr_style_of(stdout);
  char what[TITLE_SIZE];
  snprintf(what, sizeof(what), "upstream '%s'", name);
  const json_t *fact = fact_of(facts, what);
  if (fact == NULL) return;
  printf("%s%s%s\n  %-12s ", style.bold, what, style.reset, "");
  print_options(json_object_get(fact, "options"), "");
}

// Each name of a list like "recs, prices".
static void print_each(const json_t *facts, const json_t *names,
                       void (*print)(const json_t *facts, const char *name))
{
  struct wr_str list = wr_str_of(json_string_value(names));
  while (list.ptr != NULL) {
    char name[TITLE_SIZE];
    struct wr_str one = wr_str_trim(wr_str_split(&list, ','));
    snprintf(name, sizeof(name), "%.*s", WR_STR_ARG(one));
    print(facts, name);
  }
}

static int print_pipeline(const json_t *facts, const struct asked *asked)
{
  struct wr_style style = wr_style_of(stdout);
  struct wr_route_found found;
  const json_t *route = find_route(facts, asked, &found);
  if (route == NULL) return WR_EXIT_FAILED;
  const json_t *options = json_object_get(route, "options");
  printf("%s%s%s\n  %-12s ", style.bold, json_string_value(json_object_get(route, "what")),
         style.reset, "");
  print_options(options, "policies upstreams");
  print_each(facts, json_object_get(options, "policies"), print_policy);
  print_each(facts, json_object_get(options, "upstreams"), print_upstream);
  return WR_EXIT_OK;
}

// --- asking -------------------------------------------------------------------------------------

static bool read_asked(const struct wr_options *o, const char *what, struct wr_region *region,
                       struct asked *out)
{
  const char *host = wr_options_get(o, "host");
  struct wr_str rest = wr_str_of(what);
  *out = (struct asked){.host = wr_str_of(host ? host : "")};
  out->method = wr_str_split(&rest, ' ');
  struct wr_str path = rest.ptr ? wr_str_split(&rest, '?') : rest;
  if (path.ptr) out->path = wr_uri_normal_path(path, region);
  if (out->path.ptr != NULL && out->path.ptr[0] == '/') return true;
  wr_options_refuse(o, "--dry takes a method and a path: --dry 'GET /pay'; not '%s'", what);
  return false;
}

// What the live generation declares.
static int ask_facts(const struct wr_options *o, struct wr_client_reply *reply)
{
  struct wr_client_request request = {
      .method = "GET", .path = "/generations", .timeout_ms = TIMEOUT_MS};
  char path[64] = "";
  int failed = wr_client_ask(o, &request, reply);
  if (failed) return failed;
  json_t *list = json_loadb(wr_buf_str(&reply->body).ptr, reply->body.len, 0, NULL);
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *row = json_array_get(list, i);
    const char *state = json_string_value(json_object_get(row, "state"));
    if (state == NULL || strcmp(state, "live") != 0) continue;
    json_int_t number = json_integer_value(json_object_get(row, "number"));
    snprintf(path, sizeof(path), "/generations/show?of=%lld", number);
  }
  json_decref(list);
  wr_buf_fini(&reply->body);
  if (path[0] == '\0') {
    fputs("weir explain: no generation is live\n", stderr);
    return WR_EXIT_FAILED;
  }
  request.path = path;
  return wr_client_ask(o, &request, reply);
}

int wr_explain_dry(const struct wr_options *o, const char *what)
{
  struct wr_region region;
  struct asked asked;
  struct wr_client_reply reply;
  wr_region_init(&region, REGION_MAX);
  int code = WR_EXIT_USAGE;
  if (!read_asked(o, what, &region, &asked)) goto done;
  code = ask_facts(o, &reply);
  if (code != WR_EXIT_OK) goto done;
  json_t *facts = json_loadb(wr_buf_str(&reply.body).ptr, reply.body.len, 0, NULL);
  if (reply.status != STATUS_OK) {
    fputs("weir explain: the live generation could not be looked at\n", stderr);
    code = WR_EXIT_FAILED;
  } else {
    code = print_pipeline(facts, &asked);
  }
  json_decref(facts);
  wr_buf_fini(&reply.body);
done:
  wr_region_fini(&region);
  return code;
}
