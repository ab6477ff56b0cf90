#pragma once
/// The directives of a Cache-Control field, or of a targeted one (RFC 9111 5.2, RFC 5861, RFC 8246,
/// RFC 9213). Pure; any thread.
///
/// Anybody may have written the field, so reading is bounded and leans to caution: a value that is
/// no number, or two numbers that disagree, make a freshness lifetime 0 (RFC 9111 4.2.1), a list
/// of fields that cannot be read restricts the whole response, and what is inside a quoted string
/// is no directive.

#include "http/headers.h"

#include <stdint.h>

/// A number of seconds that the field does not have.
#define WR_CACHE_CONTROL_NONE ((int64_t)-1)

/// Who we are to Surrogate-Control, whose directives may be for one device.
#define WR_CACHE_CONTROL_DEVICE "weir"

enum {
  WR_CACHE_CONTROL_LISTS_MAX = 4, ///< `no-cache="…"` and `private="…"` together; more restrict all
};

/// Larger numbers count as this one (RFC 9111 1.2.2).
#define WR_CACHE_CONTROL_FOREVER ((int64_t)1 << 31)

struct wr_cache_control {
  bool is_present; ///< there is a field with at least one directive
  bool no_store;
  bool no_cache; ///< without a list of fields
  bool is_private;
  bool is_public;
  bool must_revalidate;
  bool proxy_revalidate;
  bool must_understand;
  bool only_if_cached;
  int64_t max_age; ///< seconds, as all below; WR_CACHE_CONTROL_NONE without one
  int64_t s_maxage;
  int64_t stale_while_revalidate;
  int64_t stale_if_error;
  int64_t min_fresh;
  int64_t max_stale;                               ///< INT64_MAX: whatever its staleness
  struct wr_str lists[WR_CACHE_CONTROL_LISTS_MAX]; ///< fields named by no-cache= or private=
  size_t list_count;
};

/// Reads all fields of that name. `out` borrows from `headers`.
void wr_cache_control_read(const struct wr_headers *headers, struct wr_str name,
                           struct wr_cache_control *out);

/// Is the field named in a list of `no-cache="…"` or `private="…"`?
bool wr_cache_control_names(const struct wr_cache_control *cc, struct wr_str field);

/// Reads delta-seconds (RFC 9111 1.2.2): digits only, cut at WR_CACHE_CONTROL_FOREVER. False
/// when it is anything else.
bool wr_cache_control_seconds(struct wr_str text, int64_t *seconds);
