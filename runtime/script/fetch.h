#pragma once
/// One outbound attempt of a script: picks the endpoint, builds the head, starts the transfer, and
/// feeds a `wr_response`. Used by `upstream:forward`, `upstream:request` and `weir.http`. One
/// worker's loop.

#include "script/request.h"
#include "script/response.h"

struct wr_fetch {
  struct wr_upstream *upstream;   ///< or NULL, with `uri`
  const struct wr_uri *uri;       ///< where to, without an upstream
  bool is_trusted;                ///< the URI was declared: link-local addresses are fine
  const struct wr_upstream *like; ///< with `uri`: it is spoken to as this one's endpoints; or NULL
  struct wr_str method;
  struct wr_str target;             ///< origin-form, for upstreams; behind the endpoint's prefix
  const struct wr_headers *headers; ///< as wanted by the script; hop-by-hop fields are left out
  struct wr_str body;               ///< bytes to send, or absent
  struct wr_request *request;       ///< forwarding: whose body and identity go along, or NULL
  struct wr_str
      key;          ///< decides the endpoint where the balance hashes; absent: as the upstream says
  bool wants_whole; ///< resume with the whole body (buffered) or at the head (streaming)
  size_t body_max;  ///< most bytes held in memory
};

/// Starts the attempt for the running task. The caller suspends on `&r->op`; the coroutine is
/// resumed with the response, or with `nil, err`. NULL with a set error when the head passes its
/// size limits.
struct wr_response *wr_fetch_start(struct wr_task *t, const struct wr_fetch *fetch,
                                   struct wr_error *error);

/// Is another attempt harmless: a safe or idempotent method (RFC 9110 9.2.2), or an
/// Idempotency-Key?
bool wr_fetch_is_idempotent(struct wr_str method, const struct wr_headers *headers);
