#pragma once
/// URLs of upstreams and of `weir.http`, paths, queries, percent-encoding (RFC 3986). Pure.

#include "base/region.h"

#include <stdint.h>

struct wr_uri {
  bool is_https;
  struct wr_str host;      ///< without brackets for IPv6; lower case, in the region
  bool is_ipv6;            ///< an IPv6 literal
  uint16_t port;           ///< explicit or the scheme's
  bool has_default_port;   ///< true when it is the scheme's
  struct wr_str path;      ///< "/" when empty
  struct wr_str query;     ///< absent without "?"
  struct wr_str authority; ///< host[:port] as a Host field wants it, in the region
};

/// Parses an absolute http(s) URL. User info and fragments are refused. False with a constant
/// reason.
bool wr_uri_parse(struct wr_uri *u, struct wr_str text, struct wr_region *region,
                  const char **reason);

/// Decodes %XX into the region; absent on a bad escape or an encoded NUL.
struct wr_str wr_uri_decode(struct wr_str s, struct wr_region *region);

/// Escapes everything but unreserved characters into the region.
struct wr_str wr_uri_encode(struct wr_str s, struct wr_region *region);

/// The one form on which routes are matched (RFC 3986 6.2.2): dot segments removed, escapes of
/// unreserved characters decoded, the others in upper case, empty segments merged; "*" stays.
/// Absent when policy and upstream could disagree about the path, and the request is to be refused
/// with 400: it climbs above the root or over a merged empty segment, holds a backslash, hides a
/// dot segment before ";" or a slash, a backslash or a control character behind an escape, or has a
/// byte that no target may have.
struct wr_str wr_uri_normal_path(struct wr_str path, struct wr_region *region);

/// Has it a segment "." or "..", escaped or not?
bool wr_uri_has_dots(struct wr_str path);
