#pragma once
/// A request from inside of the process: an exchange without a connection, for whoever tries what
/// the layer above answers without a network.
///
/// It takes the way of every other request from its parsed head on: judged, handed to the server's
/// hooks, its body delivered when it is asked for; the answer is read back from the bytes that an
/// HTTP/1.1 client would get. One worker's loop. Limits: those of the server for its head, bodies
/// of WR_LOCAL_BODY_MAX bytes either way.

#include "http/headers.h"

#include <stdint.h>

struct wr_local;
struct wr_server;

enum { WR_LOCAL_BODY_MAX = 8 * 1024 * 1024 };

/// What the client got.
struct wr_local_answer {
  int status;                       ///< 0: the exchange was broken off before a head
  const struct wr_headers *headers; ///< as they would leave
  struct wr_str body;               ///< without its framing
  bool is_complete;                 ///< false: it was broken off
};

/// What is asked, and whom to tell.
struct wr_local_request {
  struct wr_str head;   ///< with its empty line; what is not HTTP/1.1 is answered as such
  struct wr_str body;   ///< its length is in the head
  struct wr_str client; ///< numeric address of the peer
  /// Told once, unless the client leaves; what is pointed at is valid during the call.
  void (*on_end)(void *ctx, const struct wr_local_answer *answer);
  void *ctx;
};

/// Begins at the end of this turn. Everything is copied. NULL: it is larger than its limits.
struct wr_local *wr_local_start(struct wr_server *s, const struct wr_local_request *request);

/// The client leaves: nothing is told, and `local` is gone for the caller.
void wr_local_leave(struct wr_local *local);
