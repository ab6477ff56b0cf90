#pragma once
/// The HTTP cache between its pure rules (http/freshness.h, storable.h, vary.h) and the shared
/// store (arena/cache.h): keys, variants, what is stored and when.
///
/// Under a resource's key lies its one response, or, when it has a Vary, an index: which fields
/// choose, newest first, and an epoch that is part of the variants' own keys, so that forgetting
/// the index forgets them all. What was forgotten after the origin was asked is not stored: see
/// wr_cache_stamp. One worker's loop; the store is every worker's.

#include "http/storable.h"
#include "script/request.h"

enum {
  WR_HTTP_CACHE_TARGETS_MAX = 4, ///< targeted fields that are looked for
  WR_HTTP_CACHE_SETS_MAX = 4,    ///< different Vary of one resource; the oldest goes
};

/// One `weir.http_cache`. Immutable; copied into what outlives its handle.
struct wr_http_cache {
  struct wr_entry *space;
  struct wr_freshness_rules rules;
  enum wr_storable_cookies cookies;
  size_t object_max; ///< bytes of a body
  uint64_t keep_ns;  ///< past its use, for validation
  char targets[WR_HTTP_CACHE_TARGETS_MAX][64];
  size_t target_count;
};

enum wr_http_cache_plan {
  WR_HTTP_CACHE_LOOK,   ///< a GET or HEAD that the store may answer
  WR_HTTP_CACHE_PASS,   ///< neither answered nor stored
  WR_HTTP_CACHE_UNSAFE, ///< may change things: what is stored of them goes; its answer may be
                        ///< stored
};

/// What is to be done with a request; `*reason` is a constant word for PASS.
enum wr_http_cache_plan wr_http_cache_plan(const struct wr_http_cache *c,
                                           const struct wr_request *q, const char **reason);

/// Appends the key of the resource at `target` of the request's origin: scheme and host as the
/// upstream will be told, the target byte for byte, and `extra` of the policy. False when it is too
/// long to be stored.
bool wr_http_cache_key(const struct wr_request *q, struct wr_str target, struct wr_str extra,
                       struct wr_buf *out);

/// The request's directives that count; NULL when none do. `room` is the caller's.
const struct wr_cache_control *wr_http_cache_asked(const struct wr_http_cache *c,
                                                   const struct wr_request *q,
                                                   struct wr_cache_control *room);

/// What wr_http_cache_find found; end it with wr_http_cache_found_fini.
struct wr_http_cache_found {
  struct wr_freshness freshness;
  struct wr_buf where;  ///< the key that it lies under; for a missing variant: would lie, perhaps
  struct wr_buf record; // its bytes
  bool has_variants;    ///< the resource is known, though perhaps not this variant
  bool is_passed;       ///< what the origin answers is not stored lately
};

/// Fills `r` (fresh from wr_response_new) with the stored response for this request. False without
/// one.
bool wr_http_cache_find(const struct wr_http_cache *c, struct wr_str key,
                        const struct wr_request *q, struct wr_response *r,
                        struct wr_http_cache_found *found);

/// Frees what it holds.
void wr_http_cache_found_fini(struct wr_http_cache_found *found);

/// Stores `r`, whose head has just arrived, once its body is complete, unless the resource was
/// forgotten since `stamp`. NULL, or a constant word for why it is not stored; it may still fail to
/// be, when its body is cut short or grows too large.
const char *wr_http_cache_keep(const struct wr_http_cache *c, struct wr_str key, uint64_t stamp,
                               const struct wr_request *q, struct wr_response *r);

/// What the origin says about what is stored.
struct wr_http_cache_news {
  struct wr_str key;                ///< of the resource
  uint64_t stamp;                   ///< of that key, from before the origin was asked
  struct wr_str where;              ///< the key that it was found under
  struct wr_response *stored;       ///< as found; gets the new fields
  const struct wr_response *update; ///< a 304, or the answer to a HEAD
  struct wr_freshness freshness;    ///< out
};

/// Brings what is stored up to date. False when it may not be kept any more: it is gone.
bool wr_http_cache_freshen(const struct wr_http_cache *c, const struct wr_request *q,
                           struct wr_http_cache_news *news);

/// Forgets the resource under `key` and all its variants, and what is on its way to be stored.
void wr_http_cache_forget(const struct wr_http_cache *c, struct wr_script_env *env,
                          struct wr_str key);
