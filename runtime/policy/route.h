#pragma once
/// The router of one generation: host, method and path of a request -> the route that answers it.
///
/// Built once while a generation loads, immutable after that: then any thread may search it, and a
/// search allocates nothing. Patterns are those of route_pattern.h.
///
/// Which route wins. Hosts: the exact one, then "*.suffix" with the longest suffix (one label or
/// more in place of the star), then routes for any host. Paths, segment by segment from the left:
/// literal, then parameter, then wildcard. Methods: the method itself, then GET for HEAD, then
/// every method. A choice that leads nowhere is taken back, and a path that is known with other
/// methods only is searched on: "GET /users/me" does not hide "POST /users/:id".
///
/// Cost. The tree has one node per segment, so a node can be reached in one way only and is visited
/// at most once per host looked at: taking choices back costs at most the nodes of the tree,
/// whatever the path. Without sibling literals and parameters it is one binary search a segment.

#include "base/error.h"
#include "policy/route_pattern.h"

/// Most routes in one table.
#define WR_ROUTE_COUNT_MAX 65536

enum {
  WR_ROUTE_ALLOW_MAX = WR_ROUTE_METHODS_MAX * (WR_ROUTE_METHOD_LEN_MAX + 2) + 1,
  WR_ROUTE_METHODS_TEXT_MAX = WR_ROUTE_ALLOW_MAX,
};

enum wr_route_match {
  WR_ROUTE_FOUND,
  WR_ROUTE_NO_PATH,   ///< no route has this path: 404
  WR_ROUTE_NO_METHOD, ///< the path has routes, none for this method: 405 with `allow`
};

struct wr_route_param {
  struct wr_str name;  ///< lives as long as the table
  struct wr_str value; ///< a part of the path that was searched; not decoded
};

/// The answer; a caller's own. About 1.2 kB, so keep it on the stack.
struct wr_route_found {
  void *target; ///< as given to `wr_route_add`
  struct wr_str
      pattern; ///< path as declared ("/users/:id"), for metrics and traces; NUL-terminated
  struct wr_route_param params[WR_ROUTE_PARAMS_MAX]; ///< in order of the path
  size_t count;
  char allow[WR_ROUTE_ALLOW_MAX]; ///< only with WR_ROUTE_NO_METHOD: "GET, HEAD, POST"
};

/// One declared route, for `weir check` and status output.
struct wr_route_row {
  const char *host; ///< NULL: any
  const char *path;
  const char *place;
  void *target;
  char methods[WR_ROUTE_METHODS_TEXT_MAX]; ///< "GET,POST", or "*"
};

struct wr_route_table;

/// A route to be declared. All text is copied.
struct wr_route_new {
  const char *host;    ///< NULL for any, else as in `wr_route_pattern_check_host`
  const char *pattern; ///< "GET /users/:id"
  const char *place;   ///< "shop.lua:12": where the script says so
  void *target;        ///< not NULL; the caller's
};

/// An empty table, the caller's until `wr_route_table_free`.
struct wr_route_table *wr_route_table_new(void);

/// Frees the table; targets stay the caller's. NULL is fine.
void wr_route_table_free(struct wr_route_table *t);

/// Declares a route.
///
/// False, with nothing changed and an error of kind invalid, when the pattern or host is wrong
/// (names rule and column), or it conflicts with an earlier route (names both places): the same
/// host, method and path twice, or two paths that differ in the names of their parameters only.
bool wr_route_add(struct wr_route_table *t, const struct wr_route_new *route,
                  struct wr_error *error);

/// Finds the route of a request. `host` is without a port, in any case, with or without a last dot;
/// absent is a request without one. `path` is in the normal form of http/uri.h.
enum wr_route_match wr_route_find(const struct wr_route_table *t, struct wr_str method,
                                  struct wr_str host, struct wr_str path,
                                  struct wr_route_found *out);

/// Routes declared.
size_t wr_route_count(const struct wr_route_table *t);

/// The route declared as number `at` (from 0); false past the end.
bool wr_route_row(const struct wr_route_table *t, size_t at, struct wr_route_row *out);
