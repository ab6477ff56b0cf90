#pragma once
/// How responses get into the HTTP cache's store: collected while they flow to a client, written
/// when they are complete. Private to script/http_cache.c.

#include "script/http_cache.h"

/// What lies under a key: the cache items' forms, apart from those of `weir.cache`.
enum wr_http_fill_form {
  WR_HTTP_FILL_RESPONSE = 16, ///< see http/stored.h
  WR_HTTP_FILL_INDEX,         ///< epoch, and the sets of names in Vary, a line each, newest first
  WR_HTTP_FILL_PASS,          ///< the answers are not stored: no use in waiting for one
};

struct wr_http_fill_start {
  struct wr_str key; ///< of the resource
  uint64_t stamp;    ///< of that key, from before the origin was asked
  const struct wr_headers *request;
  const struct wr_cache_control *cc;
  const struct wr_freshness *freshness;
};

/// Begins to collect `r`. NULL, or a constant word for why not. Stores at once what is whole.
const char *wr_http_fill_begin(const struct wr_http_cache *c, struct wr_response *r,
                               const struct wr_http_fill_start *start);

/// Stores the whole response `r` under the key `where`, which it was found under, unless it was
/// forgotten since the stamp; 0: whatever was.
bool wr_http_fill_store_whole(const struct wr_http_cache *c, const struct wr_http_cache_news *news,
                              const struct wr_cache_control *cc);

/// Appends the key of the variant that `request` chooses by the fields of `names`.
bool wr_http_fill_variant_key(struct wr_str key, uint64_t epoch, struct wr_str names,
                              const struct wr_headers *request, struct wr_buf *out);

/// Notes for a while that what `key` names is not stored, unless something is.
void wr_http_fill_pass(const struct wr_http_cache *c, struct wr_script_env *env, struct wr_str key);
