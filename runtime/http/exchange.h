#pragma once
/// One request and its response on a client connection, as the layers above see it.
///
/// The server creates an exchange when a head is complete and hands it to the hooks; the layer
/// above answers with `respond`, `write`, `end`, at once or later. Framing, hop-by-hop fields,
/// Date, Via and keep-alive are the server's business. Bytes stream both ways with back-pressure
/// (high and low marks 64 and 16 KiB). The exchange ends in exactly one `on_end`; it must not be
/// touched afterwards. One worker's loop. Hooks are never called from inside a function of this
/// header.

#include "base/error.h"
#include "http/parser.h"
#include "http/tls_facts.h"

struct wr_exchange;
struct wr_proxy_protocol;
struct wr_server;

struct wr_http_hooks {
  /// A request head is complete and acceptable. `*slot` is the layer's own pointer for this
  /// exchange.
  void (*on_request)(void *ctx, struct wr_exchange *x, void **slot);
  /// A piece of request body, valid during the call; comes only after `wr_exchange_read`.
  /// Return false to pause until the next `wr_exchange_read`.
  bool (*on_body)(void *slot, struct wr_exchange *x, struct wr_str data);
  /// The request body is complete (also told when there is none, after `wr_exchange_read`).
  void (*on_body_end)(void *slot, struct wr_exchange *x);
  /// The write buffer is below its low mark after `wr_exchange_write` returned false.
  void (*on_writable)(void *slot, struct wr_exchange *x);
  /// The client is gone, broke its framing or ran out of its time: cancel everything. Answering is
  /// pointless unless `error->kind` is `invalid`, `too_large` or `timeout` and no head was sent.
  /// `on_end` follows when the layer above has called `wr_exchange_end` or `wr_exchange_abort`.
  void (*on_gone)(void *slot, struct wr_exchange *x, const struct wr_error *error);
  /// Over: the response left completely, or the exchange was aborted. Last call for this exchange.
  void (*on_end)(void *slot, struct wr_exchange *x);
};

/// Facts of the request. Valid until `on_end`.
struct wr_exchange_info {
  const struct wr_head *head;
  struct wr_region *region; ///< the exchange's memory; for the layer above too
  struct wr_str path;       ///< normal form for matching (wr_uri_normal_path)
  struct wr_str target;     ///< path and query that go upstream: the client's bytes, or the normal
                            ///< form of a path with dot segments
  struct wr_str client;     ///< numeric address of the peer
  uint16_t client_port;
  struct wr_str scheme;           ///< "http" or "https"
  struct wr_str version;          ///< of HTTP: "1.0", "1.1" or "2"
  const struct wr_tls_facts *tls; ///< NULL: in the clear
  struct wr_str request_id;       ///< accepted from a trusted sane X-Request-ID, else made
  uint64_t start_ns;              ///< first byte of the head
  uint64_t head_ns;               ///< head complete
};

/// Numbers for the access log; complete in `on_end`.
struct wr_exchange_stats {
  int status;              ///< 0 when no response head left
  uint64_t received_bytes; ///< request body
  uint64_t sent_bytes;     ///< response body
  bool is_complete;        ///< the response left whole
};

/// Borrowed until `on_end`.
const struct wr_exchange_info *wr_exchange_info(const struct wr_exchange *x);

/// Who is connected to what, as a PROXY header tells it. Borrowed until `on_end`.
const struct wr_proxy_protocol *wr_exchange_ends(const struct wr_exchange *x);

/// Borrowed until `on_end`.
const struct wr_exchange_stats *wr_exchange_stats(const struct wr_exchange *x);

/// Has all of the request body come already, so that reading it waits for nobody? Of HTTP/1 that is
/// not known before it is read.
bool wr_exchange_is_here(const struct wr_exchange *x);

/// Wants (more of) the request body. The first call answers `Expect: 100-continue`.
void wr_exchange_read(struct wr_exchange *x);

/// The response head; `status` is 200 to 999. `headers` are end-to-end fields; hop-by-hop and
/// framing ones, X-Request-ID, and names or values that HTTP does not allow are left out. May be
/// NULL. `has_length` fixes the body at `length` bytes; else it is chunked (or until close for
/// HTTP/1.0). Exactly once per exchange. A request body that was neither read nor asked for ends
/// the connection when it is large: call `wr_exchange_read` first where it is wanted.
void wr_exchange_respond(struct wr_exchange *x, int status, const struct wr_headers *headers,
                         bool has_length, uint64_t length);

/// Goes on in another protocol (RFC 9110 7.8), for an HTTP/1.1 request without a body that asked
/// for it: 101, and from then on the bytes of the connection as they are, in place of the bodies.
/// What the client sends comes by `on_body` after `wr_exchange_read`, its FIN as `on_body_end`;
/// nothing limits their number or time. In place of `wr_exchange_respond`.
void wr_exchange_upgrade(struct wr_exchange *x, const struct wr_headers *headers,
                         struct wr_str protocol);

/// A piece of body (copied as far as the socket does not take it now). False above the high mark:
/// the piece was taken, wait for `on_writable`; false also once the client is gone: `on_gone` comes
/// or came. Ignored for HEAD, 204, 205 and 304. What passes the promised length is dropped, and the
/// connection closed at the end.
bool wr_exchange_write(struct wr_exchange *x, struct wr_str data);

/// Fields that follow the body, copied; before `wr_exchange_end`. They reach a client of HTTP/2,
/// and one of HTTP/1.1 that said `TE: trailers` and gets a chunked body; others do without. What
/// may not be a trailer is left out (wr_headers_is_trailer).
void wr_exchange_trailers(struct wr_exchange *x, const struct wr_headers *trailers);

/// The response is complete. Fewer bytes than `length` promised abort the connection instead, and
/// so does an exchange that was not answered — unless `on_gone` said that the request body was at
/// fault: then the server answers 400, 408 or 413 by itself.
void wr_exchange_end(struct wr_exchange *x);

/// Breaks the exchange off: the connection is closed so that the client can tell (RST before the
/// head left, otherwise an incomplete body).
void wr_exchange_abort(struct wr_exchange *x);

/// Resets the client's connection, as if the client had done it: `on_gone` follows.
void wr_exchange_reset(struct wr_exchange *x);

/// Head, body and end in one call, for small responses.
void wr_exchange_reply(struct wr_exchange *x, int status, const struct wr_headers *headers,
                       struct wr_str body);

/// Has `respond` been called?
bool wr_exchange_is_responded(const struct wr_exchange *x);
