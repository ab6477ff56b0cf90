// What a request would meet: the live generation's facts, found by its router, with the state of
// each named primitive beside them.

#include "admin/primitives.h"
#include "base/region.h"
#include "cli/client.h"
#include "cli/explain.h"
#include "cli/explain_pipeline.h"
#include "cli/snapshot.h"
#include "http/uri.h"
#include "policy/route.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { TIMEOUT_MS = 30000, STATUS_OK = 200, REGION_MAX = 1 << 20, TITLE_SIZE = 512 };

struct asked {
  struct wr_str method, host, path;
};

// What is known: what the generation declares, and how everything is.
struct known {
  json_t *facts;
  json_t *status;
};

static json_t *text_json(struct wr_str text)
{
  return json_stringn_nocheck(text.ptr ? text.ptr : "", text.len);
}

static const char *what_of(const json_t *fact)
{
  const char *what = json_string_value(json_object_get(fact, "what"));
  return what ? what : "";
}

// --- the route ----------------------------------------------------------------------------------

// "route GET /users/:id of shop.test" is what a bundle's facts call one.
static void add_route(struct wr_route_table *table, json_t *fact)
{
  char title[WR_ROUTE_PATTERN_MAX + 512];
  struct wr_error error;
  snprintf(title, sizeof(title), "%s", what_of(fact));
  if (strncmp(title, "route ", 6) != 0) return;
  char *host = strstr(title, " of ");
  if (host != NULL) *host = '\0';
  struct wr_route_new route = {host ? host + 4 : NULL, title + 6, "", fact};
  wr_route_add(table, &route, &error);
}

// Its fact, NULL when there is none; what it is called, what its parameters are, or which status
// says why not.
static const json_t *find_route(const struct known *k, const struct asked *asked, json_t *out)
{
  struct wr_route_table *table = wr_route_table_new();
  const json_t *declared = json_object_get(k->facts, "declared");
  struct wr_route_found found;
  for (size_t i = 0; i < json_array_size(declared); i++) {
    add_route(table, json_array_get(declared, i));
  }
  enum wr_route_match match = wr_route_find(table, asked->method, asked->host, asked->path, &found);
  const json_t *route = match == WR_ROUTE_FOUND ? found.target : NULL;
  json_object_set_new(out, "route", route ? json_string(what_of(route) + 6) : json_null());
  if (match == WR_ROUTE_NO_PATH) json_object_set_new(out, "status", json_integer(404));
  if (match == WR_ROUTE_NO_METHOD) {
    json_object_set_new(out, "status", json_integer(405));
    json_object_set_new(out, "allow", json_string(found.allow));
  }
  json_t *params = json_object();
  for (size_t i = 0; route && i < found.count; i++) {
    char name[TITLE_SIZE];
    snprintf(name, sizeof(name), "%.*s", WR_STR_ARG(found.params[i].name));
    json_object_set_new(params, name, text_json(found.params[i].value));
  }
  json_object_set_new(out, "params", params);
  wr_route_table_free(table);
  return route;
}

// --- what it leads to ---------------------------------------------------------------------------

static const json_t *fact_of(const struct known *k, const char *what)
{
  const json_t *declared = json_object_get(k->facts, "declared");
  for (size_t i = 0; i < json_array_size(declared); i++) {
    const json_t *fact = json_array_get(declared, i);
    if (strcmp(what_of(fact), what) == 0) return fact;
  }
  return NULL;
}

// The primitive behind a layer, as the status shows it; of a retry that is its budget.
static json_t *state_of(const struct known *k, const char *kind, const char *name)
{
  const char *plural = wr_primitives_plural(strcmp(kind, "retry") == 0 ? "budget" : kind);
  const json_t *list = plural ? json_object_get(k->status, plural) : NULL;
  for (size_t i = 0; i < json_array_size(list); i++) {
    json_t *one = json_array_get(list, i);
    const char *known = json_string_value(json_object_get(one, "name"));
    if (known && strcmp(known, name) == 0) return one;
  }
  return NULL;
}

// A layer, or an upstream: {"name", "options", "now"}, of what a fact says.
static json_t *element(const struct known *k, const char *kind, const char *name,
                       const json_t *fact)
{
  json_t *options = json_object_get(fact, "options");
  const char *own = json_string_value(json_object_get(options, "name"));
  json_t *now = state_of(k, kind, own ? own : name);
  json_t *out = json_object();
  json_object_set_new(out, "kind", json_string(kind));
  json_object_set_new(out, "name", json_string(own ? own : name));
  json_object_set_new(out, "options", options ? json_incref(options) : json_object());
  if (now) json_object_set(out, "now", now);
  return out;
}

// The layers of a policy in their order: "deadline > retry > breaker".
static json_t *build_policy(const struct known *k, const char *name)
{
  char what[TITLE_SIZE];
  snprintf(what, sizeof(what), "policy '%s'", name);
  const json_t *fact = fact_of(k, what);
  if (fact == NULL) return NULL;
  const json_t *options = json_object_get(fact, "options");
  struct wr_str list = wr_str_of(json_string_value(json_object_get(options, "layers")));
  json_t *layers = json_array();
  while (list.ptr != NULL) {
    char kind[64];
    struct wr_str layer = wr_str_trim(wr_str_split(&list, '>'));
    snprintf(kind, sizeof(kind), "%.*s", WR_STR_ARG(layer));
    snprintf(what, sizeof(what), "policy '%s': %s", name, kind);
    json_array_append_new(layers, element(k, kind, name, fact_of(k, what)));
  }
  return json_pack("{s:s, s:o}", "name", name, "layers", layers);
}

static json_t *build_upstream(const struct known *k, const char *name)
{
  char what[TITLE_SIZE];
  snprintf(what, sizeof(what), "upstream '%s'", name);
  const json_t *fact = fact_of(k, what);
  return fact ? element(k, "upstream", name, fact) : NULL;
}

// Each name of a list like "recs, prices".
static json_t *build_each(const struct known *k, const json_t *names,
                          json_t *(*build)(const struct known *k, const char *name))
{
  struct wr_str list = wr_str_of(json_string_value(names));
  json_t *out = json_array();
  while (list.ptr != NULL) {
    char name[TITLE_SIZE];
    struct wr_str one = wr_str_trim(wr_str_split(&list, ','));
    snprintf(name, sizeof(name), "%.*s", WR_STR_ARG(one));
    json_t *built = build(k, name);
    if (built) json_array_append_new(out, built);
  }
  return out;
}

static json_t *build_pipeline(const struct known *k, const struct asked *asked)
{
  json_t *out = json_object();
  const json_t *route = find_route(k, asked, out);
  if (route == NULL) return out;
  const json_t *options = json_object_get(route, "options");
  json_t *own = json_copy((json_t *)options);
  json_object_del(own, "policies");
  json_object_del(own, "upstreams");
  json_object_set_new(out, "options", own);
  json_object_set_new(out, "policies",
                      build_each(k, json_object_get(options, "policies"), build_policy));
  json_object_set_new(out, "upstreams",
                      build_each(k, json_object_get(options, "upstreams"), build_upstream));
  return out;
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

static json_t *get(const struct wr_options *o, const char *path, int *code)
{
  struct wr_client_request request = {.method = "GET", .path = path, .timeout_ms = TIMEOUT_MS};
  struct wr_client_reply reply;
  *code = wr_client_ask(o, &request, &reply);
  if (*code) return NULL;
  json_t *answer = json_loadb(wr_buf_str(&reply.body).ptr, reply.body.len, 0, NULL);
  wr_buf_fini(&reply.body);
  if (reply.status == STATUS_OK && answer != NULL) return answer;
  json_decref(answer);
  fputs("weir explain: the live generation could not be looked at\n", stderr);
  *code = WR_EXIT_FAILED;
  return NULL;
}

// What the live generation declares.
static json_t *get_facts(const struct wr_options *o, int *code)
{
  char path[64] = "";
  json_t *list = get(o, "/generations", code);
  if (list == NULL) return NULL;
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *row = json_array_get(list, i);
    const char *state = json_string_value(json_object_get(row, "state"));
    if (state == NULL || strcmp(state, "live") != 0) continue;
    json_int_t number = json_integer_value(json_object_get(row, "number"));
    snprintf(path, sizeof(path), "/generations/show?of=%lld", number);
  }
  json_decref(list);
  if (path[0] != '\0') return get(o, path, code);
  fputs("weir explain: no generation is live\n", stderr);
  *code = WR_EXIT_FAILED;
  return NULL;
}

static int print(const struct wr_options *o, const json_t *pipeline)
{
  if (wr_options_get(o, "json") != NULL) {
    json_dumpf(pipeline, stdout, JSON_COMPACT | JSON_REAL_PRECISION(15));
    putchar('\n');
  } else {
    wr_explain_pipeline_print(pipeline);
  }
  return json_is_null(json_object_get(pipeline, "route")) ? WR_EXIT_FAILED : WR_EXIT_OK;
}

int wr_explain_dry(const struct wr_options *o, const char *what)
{
  struct wr_region region;
  struct asked asked;
  struct known known = {NULL, NULL};
  int code = WR_EXIT_USAGE;
  wr_region_init(&region, REGION_MAX);
  if (read_asked(o, what, &region, &asked)) {
    known.facts = get_facts(o, &code);
    if (known.facts) known.status = wr_snapshot_fetch(o, &code);
  }
  if (known.status) {
    json_t *pipeline = build_pipeline(&known, &asked);
    code = print(o, pipeline);
    json_decref(pipeline);
  }
  json_decref(known.facts);
  json_decref(known.status);
  wr_region_fini(&region);
  return code;
}
