#pragma once
/// May a response be stored (RFC 9111 3), and under what names is it kept apart? Pure; any thread.

#include "http/freshness.h"

/// What a cache does with a response that sets a cookie.
enum wr_storable_cookies {
  WR_STORABLE_COOKIES_NEVER,
  WR_STORABLE_COOKIES_PUBLIC, ///< only when it says `public` or `s-maxage` in so many words
  WR_STORABLE_COOKIES_ALWAYS, ///< as RFC 9111 7.3 has it: like any other
};

struct wr_storable_case {
  struct wr_str method; ///< of the request
  const struct wr_headers *request;
  struct wr_str target; ///< of the request: path and query
  struct wr_str authority;
  int status;
  const struct wr_headers *response;
  const struct wr_cache_control *cc; ///< in force for the response
  const struct wr_freshness *freshness;
  bool is_shared;
  bool obeys_requests; ///< the request's no-store counts
  enum wr_storable_cookies cookies;
};

/// NULL when it may be stored; else a constant word for why not.
const char *wr_storable_refusal(const struct wr_storable_case *c);

/// Is the field kept with a stored response? Hop-by-hop fields, Age, what names a proxy, and what
/// `cc` restricts are not.
bool wr_storable_field(const struct wr_cache_control *cc, struct wr_str name);

/// Puts the fields of a 304, or of a HEAD's 200, into the stored ones (RFC 9111 3.2): all but those
/// that describe the body that is kept. False when `stored` is full.
bool wr_storable_merge(struct wr_headers *stored, const struct wr_headers *update);

/// Does the update belong to the stored response? False when a validator of the one differs from
/// the other's (RFC 9111 4.3.4, 4.3.5).
bool wr_storable_same(const struct wr_headers *stored, const struct wr_headers *update);
