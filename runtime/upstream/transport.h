#pragma once
/// Outbound HTTP: one interface, several implementations (transport_h1 for plain HTTP/1.1 and
/// tunnels, transport_h2 for HTTP/2, transport_curl for HTTP over TLS). Callers know only this
/// header.
///
/// A transfer is one attempt at one endpoint. It streams both ways with back-pressure, has its own
/// time limits, and can be cancelled at any moment, also while the name resolves. Exactly one
/// `on_end` is delivered for every transfer that was started and not cancelled; after `cancel`
/// nothing is. Callbacks run on the worker's loop, never from inside `start`, `write`, `resume` or
/// `cancel`; in any callback the transfer may be cancelled. Nothing is resent silently unless
/// nothing of it was processed: a request that is not `is_idempotent` reaches the endpoint at most
/// once.

#include "base/error.h"
#include "http/headers.h"
#include "loop/loop.h"
#include "upstream/client_tls.h"

struct wr_transfer;
struct wr_transport;

enum {
  WR_TRANSFER_UPLOAD_HIGH = 64 * 1024, ///< request body waiting, at or above which a writer waits
  WR_TRANSFER_UPLOAD_LOW = 16 * 1024,  ///< at or below it the writer is told to go on
  WR_TRANSFER_INTERIM_MAX = 32,        ///< 1xx heads before the final one
  WR_TRANSFER_TRAILERS_MAX = 64,       ///< fields after a body; more are dropped
  WR_TRANSFER_PREAMBLE_MAX = 232,      ///< bytes before the first request of a connection
  WR_TRANSFER_PATH_MAX = 107,          ///< bytes of a Unix socket's path (unix(7))
  WR_TRANSFER_ADDRESS_SIZE = 113,      ///< text of an address: "unix:", a path, and a NUL
};

/// Times in nanoseconds; 0 means none. `total_at_ns` is absolute.
struct wr_transfer_timeouts {
  uint64_t connect_ns;    ///< resolve, connect and TLS together
  uint64_t first_byte_ns; ///< from the request's last byte to the final status line
  uint64_t
      between_bytes_ns; ///< between two pieces of the response body, while reading is not paused
  uint64_t total_at_ns; ///< the whole attempt
};

/// The version of HTTP.
enum wr_transfer_http {
  WR_TRANSFER_HTTP_AUTO, ///< over TLS what the endpoint chooses (ALPN), else HTTP/1.1
  WR_TRANSFER_HTTP_1,    ///< HTTP/1.1
  WR_TRANSFER_HTTP_2, ///< HTTP/2, which the endpoint is known to speak; over TLS it has to choose
                      ///< it
};

enum wr_transfer_body {
  WR_TRANSFER_BODY_NONE,
  WR_TRANSFER_BODY_BYTES,  ///< `body`, known and kept alive by the caller until the end
  WR_TRANSFER_BODY_STREAM, ///< pieces by `write`, then `write_end`
};

/// What to ask and whom to tell. Slices and headers are copied by `start` where they must live
/// longer.
struct wr_transfer_request {
  struct wr_str method;
  struct wr_str host; ///< where to connect: a name, an address without brackets, or the path of a
                      ///< Unix socket, which begins with '/'
  uint16_t port;      ///< of names and addresses
  bool is_https;
  enum wr_transfer_http http;
  bool is_guarded;     ///< never to a link-local address (169.254/16, fe80::/10: cloud metadata)
  bool is_idempotent;  ///< may go again on a fresh connection when a pooled one turns out dead
  bool is_fresh;       ///< rides no pooled connection, however idempotent
  bool takes_trailers; ///< says `TE: trailers`
  bool has_length;     ///< STREAM: `length` is the size that will be written; else chunked
  struct wr_str authority;          ///< the Host field, and the TLS server name
  struct wr_str target;             ///< origin-form: path and query, sent as it is
  const struct wr_headers *headers; ///< end-to-end fields only; no Host, no framing
  enum wr_transfer_body body_kind;
  struct wr_str body;
  uint64_t length;
  /// Bytes with which a connection begins, before TLS: a PROXY header. It serves requests with the
  /// same bytes alone. Absent: none.
  struct wr_str preamble;
  struct wr_client_tls
      *tls; ///< who needs it longer counts as a holder; NULL: nothing beyond the transport's rules
  struct wr_transfer_timeouts timeouts;
  uint64_t
      pool_idle_ns; ///< a pooled connection idle for longer is not used; 0: the transport's own
  /// Asks to go on in this protocol (RFC 9110 7.8), for a request without a body; absent: does not.
  /// When the endpoint agrees, `on_head` has the status 101, and from then on bytes go both ways as
  /// they are: by `write`, and to `on_data`. `write_end` closes our half; the endpoint's end is
  /// `on_end`. Any other status is an ordinary response.
  struct wr_str upgrade;
  uint64_t tunnel_idle_ns;  ///< then: without a byte in either direction; 0: for ever
  uint64_t tunnel_total_ns; ///< then: in place of total_at_ns, from the head on; 0: for ever
  void *ctx;
  const struct wr_transfer_events *events;
};

/// Final response head. Headers and their slices are valid during `on_head`.
struct wr_transfer_head {
  int status;
  int minor;                        ///< HTTP/1.<minor>; 2 for HTTP/2
  const struct wr_headers *headers; ///< as received, hop-by-hop included; no pseudo fields
  bool has_length;
  uint64_t length; ///< Content-Length when has_length
};

struct wr_transfer_events {
  /// The final head, or the 101 that was asked for; other 1xx were consumed. Once, before any data.
  void (*on_head)(void *ctx, struct wr_transfer *t, const struct wr_transfer_head *head);
  /// A piece of body, valid during the call. Return false to pause: this piece counts as delivered,
  /// the next comes only after `resume`.
  bool (*on_data)(void *ctx, struct wr_transfer *t, struct wr_str data);
  /// STREAM: the write buffer is below its low mark again after `write` returned false.
  void (*on_writable)(void *ctx, struct wr_transfer *t);
  /// Fields that follow the body, when there are any: once, after the last piece; valid during
  /// the call. May be NULL.
  void (*on_trailers)(void *ctx, struct wr_transfer *t, const struct wr_headers *trailers);
  /// The end; `error->kind` is WR_ERROR_NONE after a complete response. The transfer is gone on
  /// return.
  void (*on_end)(void *ctx, struct wr_transfer *t, const struct wr_error *error);
};

/// Numbers for logs and metrics; complete in `on_end`.
struct wr_transfer_stats {
  /// Numeric address and port of the endpoint, or "unix:" and a path; "" before it is known.
  char address[WR_TRANSFER_ADDRESS_SIZE];
  bool is_reused; ///< rode a pooled connection
  bool
      is_resent; ///< that one turned out dead: went again on a fresh one, the second chance is used
  uint64_t connect_ns, first_byte_ns;
  uint64_t sent_bytes, received_bytes; ///< body bytes
};

/// Connections of a transport at this moment.
struct wr_transport_connections {
  size_t active; ///< opening, or with a transfer
  size_t idle;   ///< kept for the next one
};

/// The table of an implementation.
struct wr_transport_ops {
  const char *name;
  struct wr_transfer *(*start)(struct wr_transport *tr, const struct wr_transfer_request *request);
  bool (*write)(struct wr_transfer *t, struct wr_str data);
  void (*write_end)(struct wr_transfer *t);
  void (*resume)(struct wr_transfer *t);
  void (*cancel)(struct wr_transfer *t);
  const struct wr_transfer_stats *(*stats)(const struct wr_transfer *t);
  void (*rest)(struct wr_transport *tr);
  /// Adds its connections; NULL: it has none.
  void (*count)(struct wr_transport *tr, struct wr_transport_connections *out);
  /// Ends all transfers silently, and calls `wr_transport_end` when nothing is left, at once or
  /// later. Nothing is started any more.
  void (*close)(struct wr_transport *tr);
};

/// First member of every implementation's transport, which is one block of the heap.
struct wr_transport {
  const struct wr_transport_ops *ops;
  struct wr_loop *loop;         ///< read-only
  bool is_closing;              ///< read-only: starts nothing more
  struct wr_deferred close;     ///< private
  void (*on_closed)(void *ctx); ///< private
  void *on_closed_ctx;          ///< private
};

/// For implementations: prepares the first member.
void wr_transport_init(struct wr_transport *tr, const struct wr_transport_ops *ops,
                       struct wr_loop *l);

/// For implementations, as the last thing: frees the transport and tells who closed it.
void wr_transport_end(struct wr_transport *tr);

/// Ends its transfers silently, at the end of the turn. `on_closed` (may be NULL) is told when the
/// loop has let go of everything and the memory is free. Once.
void wr_transport_close(struct wr_transport *tr, void (*on_closed)(void *ctx), void *ctx);

/// First member of every implementation's transfer.
struct wr_transfer {
  struct wr_transport *transport;
};

/// Starts an attempt; never fails at once: whatever goes wrong arrives as `on_end`.
static inline struct wr_transfer *wr_transfer_start(struct wr_transport *tr,
                                                    const struct wr_transfer_request *request)
{
  return tr->ops->start(tr, request);
}

/// STREAM: takes a copy of `data`. False when the buffer is above its high mark (64 KiB): the piece
/// was taken, but wait for `on_writable` before the next.
static inline bool wr_transfer_write(struct wr_transfer *t, struct wr_str data)
{
  return t->transport->ops->write(t, data);
}

/// STREAM: the body is complete.
static inline void wr_transfer_write_end(struct wr_transfer *t)
{
  t->transport->ops->write_end(t);
}

/// Asks for body again after `on_data` returned false.
static inline void wr_transfer_resume(struct wr_transfer *t)
{
  t->transport->ops->resume(t);
}

/// Ends it now and silently: its connection is closed unless the response was complete. The
/// transfer is gone on return.
static inline void wr_transfer_cancel(struct wr_transfer *t)
{
  t->transport->ops->cancel(t);
}

/// Closes idle connections and keeps none from now on, so that a loop may run dry. Transfers go on.
static inline void wr_transport_rest(struct wr_transport *tr)
{
  tr->ops->rest(tr);
}

/// Adds its connections.
static inline void wr_transport_count(struct wr_transport *tr, struct wr_transport_connections *out)
{
  if (tr->ops->count) tr->ops->count(tr, out);
}

static inline const struct wr_transfer_stats *wr_transfer_stats(const struct wr_transfer *t)
{
  return t->transport->ops->stats(t);
}
