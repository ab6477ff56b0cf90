#pragma once
/// Reads a route as scripts write it: "GET,POST /users/:id/files/*path". Pure; allocates nothing.
///
///     pattern  = [ methods SP ] path        methods = "*" | METHOD *( "," METHOD )
///     path     = 1*( "/" segment )          segment = literal | ":" name | [ "*" [ name ] at the
///     end ]
///
/// No methods, or "*", means every method. A parameter takes one whole, non-empty segment. A
/// wildcard takes all that is left, which may be nothing: "/files/*path" matches "/files/" but not
/// "/files".
/// "/x" and "/x/" are two paths. Literals must be in the normal form of http/uri.h, or they could
/// never match. Slices point into the text that was read.

#include "base/str.h"

enum {
  WR_ROUTE_PATTERN_MAX = 1024,  ///< bytes of a pattern
  WR_ROUTE_SEGMENTS_MAX = 32,   ///< segments of a pattern
  WR_ROUTE_PARAMS_MAX = 16,     ///< parameters of a pattern, the wildcard included
  WR_ROUTE_METHODS_MAX = 24,    ///< methods of a pattern; different methods of a table
  WR_ROUTE_METHOD_LEN_MAX = 24, ///< bytes of a method
  WR_ROUTE_HOST_MAX = 253,      ///< bytes of a host
};

enum wr_route_part_kind { WR_ROUTE_LITERAL, WR_ROUTE_PARAM, WR_ROUTE_WILDCARD };

struct wr_route_part {
  enum wr_route_part_kind kind;
  struct wr_str
      text; ///< the literal (may be empty: the end of "/x/"), or the name ("*" without one)
};

struct wr_route_pattern {
  struct wr_str methods[WR_ROUTE_METHODS_MAX];
  size_t method_count; ///< 0: every method
  struct wr_str path;
  struct wr_route_part parts[WR_ROUTE_SEGMENTS_MAX];
  size_t part_count;
};

/// What is wrong with a pattern or a host.
struct wr_route_fault {
  const char *rule; ///< the rule that was broken, as a sentence without a capital or a period
  size_t column;    ///< 1-based byte at which it was broken
};

/// Reads `text` into `out`. False with `fault` set; `out` is then undefined.
bool wr_route_pattern_parse(struct wr_route_pattern *out, struct wr_str text,
                            struct wr_route_fault *fault);

/// Is `host` a name, an address, or "*." and a name — without a port? False with `fault` set.
bool wr_route_pattern_check_host(struct wr_str host, struct wr_route_fault *fault);
