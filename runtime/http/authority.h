#pragma once
/// `host[:port]`: of a Host field, of a request target, of a URL. One reader for all three, so that
/// they cannot disagree. Pure; any thread.
///
/// Stricter than RFC 3986: registered names are unreserved characters in non-empty labels, without
/// escapes or sub-delims, at most WR_AUTHORITY_NAME_MAX bytes; user info, zone ids and IPvFuture
/// are refused. A trailing dot is accepted and not written again.

#include "base/str.h"

#include <stdint.h>

enum {
  WR_AUTHORITY_NAME_MAX = 253, ///< bytes of a registered name (RFC 1035)
  WR_AUTHORITY_TEXT = 264,     ///< longest normal form and its NUL
};

struct wr_authority {
  struct wr_str name; ///< a slice of the text read: no brackets, no trailing dot
  bool is_ipv6;
  bool has_port;
  uint16_t port; ///< 1 to 65535
};

/// Reads `text`. NULL, or a constant text why it is refused. An empty port ("host:") is none.
const char *wr_authority_parse(struct wr_authority *a, struct wr_str text);

/// Writes the normal form of the host alone: lower case, IPv6 as RFC 5952 without brackets. Returns
/// its length; `out` is NUL-terminated.
size_t wr_authority_write_host(const struct wr_authority *a, char out[WR_AUTHORITY_TEXT]);

/// Writes `host[:port]` in normal form, without the port when it equals `default_port` (0: keep
/// any).
size_t wr_authority_write(const struct wr_authority *a, uint16_t default_port,
                          char out[WR_AUTHORITY_TEXT]);
