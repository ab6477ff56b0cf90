#include "policy/route.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/map.h"
#include "policy/route_tree.h"

#include <stdio.h>

// What one `wr_route_add` declared.
struct route {
  void *target;
  char *host; // NULL: any
  char *path;
  char *place;
  uint32_t methods;
};

struct wr_route_table {
  struct route **routes; // in the order of their declaration
  size_t count;
  size_t cap;
  char *methods[WR_ROUTE_METHODS_MAX]; // bit -> name
  size_t method_count;
  struct wr_route_tree any_host;
  struct wr_map hosts; // lower-case host -> tree; "*.suffix" is kept as ".suffix"
};

// Methods are numbered per table, so those of a path are one mask. These come first, in the order
// in which an Allow field lists them; a pattern may add others.
static const char *const COMMON_METHODS[] = {"GET",   "HEAD",   "POST",   "PUT",
                                             "PATCH", "DELETE", "OPTIONS"};

#define GET UINT32_C(1)
#define HEAD UINT32_C(2)

_Static_assert(WR_ROUTE_METHODS_MAX < 31, "WR_ROUTE_EVERY_METHOD needs a bit of its own");

// Life cycle

struct wr_route_table *wr_route_table_new(void)
{
  struct wr_route_table *t = wr_alloc(sizeof(*t));
  for (size_t i = 0; i < WR_COUNT(COMMON_METHODS); i++) {
    t->methods[t->method_count++] = wr_strdup(COMMON_METHODS[i]);
  }
  wr_map_init(&t->hosts, (struct wr_hash_key){0, 0}); // the keys are the author's
  wr_route_tree_init(&t->any_host);
  return t;
}

static void free_hosts(struct wr_map *hosts)
{
  size_t at = 0;
  for (struct wr_route_tree *tree; (tree = wr_map_next(hosts, &at, NULL)) != NULL;) {
    wr_route_tree_fini(tree);
    wr_free(tree);
  }
  wr_map_fini(hosts);
}

static void free_route(struct route *r)
{
  wr_free(r->host);
  wr_free(r->path);
  wr_free(r->place);
  wr_free(r);
}

void wr_route_table_free(struct wr_route_table *t)
{
  if (t == NULL) return;
  free_hosts(&t->hosts);
  wr_route_tree_fini(&t->any_host);
  for (size_t i = 0; i < t->count; i++) free_route(t->routes[i]);
  for (size_t i = 0; i < t->method_count; i++) wr_free(t->methods[i]);
  wr_free(t->routes);
  wr_free(t);
}

// Methods

// The bit of a method; 0 when no route names it.
static uint32_t method_bit(const struct wr_route_table *t, struct wr_str method)
{
  for (size_t i = 0; i < t->method_count; i++) {
    if (wr_str_eq(wr_str_of(t->methods[i]), method)) return UINT32_C(1) << i;
  }
  return 0;
}

// The bits of those of a pattern's methods that have one; `*unknown` counts the others.
static uint32_t method_bits(const struct wr_route_table *t, const struct wr_route_pattern *p,
                            size_t *unknown)
{
  uint32_t mask = p->method_count == 0 ? WR_ROUTE_EVERY_METHOD : 0;
  *unknown = 0;
  for (size_t i = 0; i < p->method_count; i++) {
    uint32_t bit = method_bit(t, p->methods[i]);
    mask |= bit;
    *unknown += bit == 0;
  }
  return mask;
}

// Gives those methods a bit that have none.
static void learn_methods(struct wr_route_table *t, const struct wr_route_pattern *p)
{
  for (size_t i = 0; i < p->method_count; i++) {
    if (method_bit(t, p->methods[i]) != 0) continue;
    t->methods[t->method_count++] = wr_strndup(p->methods[i].ptr, p->methods[i].len);
  }
}

static void write_methods(const struct wr_route_table *t, uint32_t mask, const char *separator,
                          char out[WR_ROUTE_ALLOW_MAX])
{
  size_t len = 0;
  out[0] = '\0';
  for (size_t i = 0; i < t->method_count; i++) {
    if ((mask & (UINT32_C(1) << i)) == 0) continue;
    len += (size_t)snprintf(out + len, WR_ROUTE_ALLOW_MAX - len, "%s%s", len > 0 ? separator : "",
                            t->methods[i]);
  }
}

// Hosts

// The key of a host: lower case, "*.x" as ".x". `out` has room for WR_ROUTE_HOST_MAX bytes.
static struct wr_str host_key(struct wr_str host, char *out)
{
  if (host.len > 0 && host.ptr[0] == '*') host = (struct wr_str){host.ptr + 1, host.len - 1};
  for (size_t i = 0; i < host.len; i++) out[i] = wr_str_lower(host.ptr[i]);
  return (struct wr_str){out, host.len};
}

static struct wr_route_tree *make_tree(struct wr_route_table *t, const char *host)
{
  if (host == NULL) return &t->any_host;
  char lower[WR_ROUTE_HOST_MAX];
  struct wr_str key = host_key(wr_str_of(host), lower);
  struct wr_route_tree *tree = wr_map_get(&t->hosts, key);
  if (tree != NULL) return tree;
  tree = wr_alloc(sizeof(*tree));
  wr_route_tree_init(tree);
  wr_map_put(&t->hosts, key, tree);
  return tree;
}

// Declaring

static bool read_route(const char *host, const char *text, const char *place,
                       struct wr_route_pattern *p, struct wr_error *error)
{
  struct wr_route_fault fault;
  if (host != NULL && !wr_route_pattern_check_host(wr_str_of(host), &fault)) {
    wr_error_set(error, WR_ERROR_INVALID, "%s: host '%.60s', column %zu: %s", place, host,
                 fault.column, fault.rule);
    return false;
  }
  if (!wr_route_pattern_parse(p, wr_str_of(text), &fault)) {
    wr_error_set(error, WR_ERROR_INVALID, "%s: route '%.60s', column %zu: %s", place, text,
                 fault.column, fault.rule);
    return false;
  }
  return true;
}

static bool has_names(const struct wr_route_leaf *leaf, const struct wr_route_pattern *p)
{
  size_t at = 0;
  for (size_t i = 0; i < p->part_count; i++) {
    if (p->parts[i].kind == WR_ROUTE_LITERAL) continue;
    if (!wr_str_eq(leaf->names[at++], p->parts[i].text)) return false;
  }
  return true;
}

// May the pattern join the routes of its shape of path?
static bool check_conflict(const struct wr_route_leaf *leaf, const struct wr_route_pattern *p,
                           uint32_t methods, const char *place, struct wr_error *error)
{
  uint32_t both = leaf->methods & methods;
  bool is_twice = both != 0;
  if (!is_twice && has_names(leaf, p)) return true;
  uint32_t bit = is_twice ? both & -both : leaf->methods & -leaf->methods;
  const struct route *first = wr_route_tree_route(leaf, bit);
  const char *rule = is_twice ? "the method has that path already"
                              : "the path is the same but for its parameters' names";
  wr_error_set(error, WR_ERROR_INVALID, "%s: route '%.32s' conflicts with '%.32s' at %s: %s", place,
               p->path.ptr, first->path, first->place, rule);
  return false;
}

// The leaf of the pattern's shape of path at its host, or NULL.
static const struct wr_route_leaf *find_leaf(const struct wr_route_table *t, const char *host,
                                             const struct wr_route_pattern *p)
{
  if (host == NULL) return wr_route_tree_leaf(&t->any_host, p);
  char lower[WR_ROUTE_HOST_MAX];
  const struct wr_route_tree *tree = wr_map_get(&t->hosts, host_key(wr_str_of(host), lower));
  return tree ? wr_route_tree_leaf(tree, p) : NULL;
}

// May the pattern be declared?
static bool check_route(const struct wr_route_table *t, const char *host,
                        const struct wr_route_pattern *p, const char *place, struct wr_error *error)
{
  size_t unknown;
  uint32_t methods = method_bits(t, p, &unknown);
  const struct wr_route_leaf *leaf = find_leaf(t, host, p);
  if (leaf != NULL && !check_conflict(leaf, p, methods, place, error)) return false;
  if (t->count == WR_ROUTE_COUNT_MAX) {
    wr_error_set(error, WR_ERROR_INVALID, "%s: more than %d routes", place, WR_ROUTE_COUNT_MAX);
    return false;
  }
  if (t->method_count + unknown > WR_ROUTE_METHODS_MAX) {
    wr_error_set(error, WR_ERROR_INVALID, "%s: the routes name more than %d methods", place,
                 WR_ROUTE_METHODS_MAX);
    return false;
  }
  return true;
}

// Appends the record of a route, and lets the pattern's parts point into its copy of the path.
static struct route *keep_route(struct wr_route_table *t, const char *host,
                                struct wr_route_pattern *p, const char *place)
{
  struct route *r = wr_alloc(sizeof(*r));
  r->host = host ? wr_strdup(host) : NULL;
  r->place = wr_strdup(place);
  r->path = wr_strndup(p->path.ptr, p->path.len);
  for (size_t i = 0; i < p->part_count; i++) {
    p->parts[i].text.ptr = r->path + (p->parts[i].text.ptr - p->path.ptr);
  }
  if (t->count == t->cap) {
    t->cap = t->cap ? t->cap * 2 : 16;
    t->routes = wr_realloc(t->routes, t->cap * sizeof(*t->routes));
  }
  t->routes[t->count++] = r;
  return r;
}

bool wr_route_add(struct wr_route_table *t, const struct wr_route_new *route,
                  struct wr_error *error)
{
  WR_CHECK(route->target != NULL);
  struct wr_route_pattern p;
  if (!read_route(route->host, route->pattern, route->place, &p, error)) return false;
  if (!check_route(t, route->host, &p, route->place, error)) return false;
  learn_methods(t, &p);
  struct route *r = keep_route(t, route->host, &p, route->place);
  size_t unknown;
  r->methods = method_bits(t, &p, &unknown);
  r->target = route->target;
  wr_route_tree_add(make_tree(t, route->host), &p, r->methods, r);
  return true;
}

// Finding

// The suffix of a host that starts at its next dot; absent without one.
static struct wr_str next_suffix(struct wr_str key)
{
  const char *dot = memchr(key.ptr + 1, '.', key.len - 1);
  return dot ? (struct wr_str){dot, key.len - (size_t)(dot - key.ptr)} : (struct wr_str){NULL, 0};
}

// Searches the trees of the host itself and of its suffixes, the longest first.
static const struct route *search_hosts(const struct wr_route_table *t, struct wr_str host,
                                        struct wr_route_search *s)
{
  if (host.len > 0 && host.ptr[host.len - 1] == '.') host.len--;
  if (t->hosts.count == 0 || host.len == 0 || host.len > WR_ROUTE_HOST_MAX) return NULL;
  if (host.ptr[0] == '.' || host.ptr[0] == '*') return NULL; // would look like the key of a suffix
  char lower[WR_ROUTE_HOST_MAX];
  const void *route = NULL;
  for (struct wr_str key = host_key(host, lower); route == NULL && key.len > 0;) {
    const struct wr_route_tree *tree = wr_map_get(&t->hosts, key);
    if (tree != NULL) route = wr_route_tree_search(tree, s);
    key = next_suffix(key);
  }
  return route;
}

static void fill_found(const struct route *r, const struct wr_route_search *s,
                       struct wr_route_found *out)
{
  out->target = r->target;
  out->pattern = wr_str_of(r->path);
  out->count = s->leaf->name_count;
  for (size_t i = 0; i < out->count; i++) {
    out->params[i] = (struct wr_route_param){s->leaf->names[i], s->values[i]};
  }
}

enum wr_route_match wr_route_find(const struct wr_route_table *t, struct wr_str method,
                                  struct wr_str host, struct wr_str path,
                                  struct wr_route_found *out)
{
  uint32_t bit = method_bit(t, method);
  struct wr_route_search s;
  s.path = path;
  s.wanted[0] = bit;
  s.wanted[1] = bit == HEAD ? GET : 0;
  s.wanted[2] = WR_ROUTE_EVERY_METHOD;
  s.allowed = 0;
  const struct route *route = search_hosts(t, host, &s);
  if (route == NULL) route = wr_route_tree_search(&t->any_host, &s);
  if (route != NULL) {
    fill_found(route, &s, out);
    return WR_ROUTE_FOUND;
  }
  if (s.allowed == 0) return WR_ROUTE_NO_PATH;
  write_methods(t, s.allowed & GET ? s.allowed | HEAD : s.allowed, ", ", out->allow);
  return WR_ROUTE_NO_METHOD;
}

// Listing

size_t wr_route_count(const struct wr_route_table *t)
{
  return t->count;
}

bool wr_route_row(const struct wr_route_table *t, size_t at, struct wr_route_row *out)
{
  if (at >= t->count) return false;
  const struct route *r = t->routes[at];
  *out = (struct wr_route_row){
      .host = r->host, .path = r->path, .place = r->place, .target = r->target};
  if (r->methods == WR_ROUTE_EVERY_METHOD) {
    memcpy(out->methods, "*", 2);
  } else {
    write_methods(t, r->methods, ",", out->methods);
  }
  return true;
}
