#pragma once
/// HTTP server, versions 1.0, 1.1 and 2: accepts on listening sockets it is lent, owns client
/// connections, drains.
///
/// One per worker and loop (another one serves the admin socket in the master). Knows nothing of
/// Lua or policies: the layer above is a table of hooks.

#include "arena/arena.h"
#include "base/network.h"
#include "http/exchange.h"
#include "http/h2_strain.h"
#include "http/tls_facts.h"
#include "loop/loop.h"

struct wr_tls;

/// All times in nanoseconds. Defaults: wr_server_options_default.
struct wr_server_options {
  uint64_t handshake_timeout_ns;  ///< of TLS, from accepting on (10 s)
  uint64_t head_timeout_ns;       ///< a whole head, from its first byte (10 s)
  uint64_t body_timeout_ns;       ///< between two pieces of request body while reading (30 s)
  uint64_t send_timeout_ns;       ///< between two pieces the client takes (30 s)
  uint64_t keep_alive_timeout_ns; ///< idle between two requests (60 s)
  uint64_t preface_timeout_ns;    ///< a whole PROXY header, from accepting (5 s)
  uint64_t body_max;              ///< request body bytes, 413 past it; 0: no limit
  /// Client connections; at it the longest idle ones make room, and accepting pauses when none is.
  size_t connections_max;
  struct wr_parser_limits limits;
  const char *via;         ///< pseudonym in Via, and the loop guard's mark; NULL adds none
  const char *server_name; ///< Server field of responses made here; NULL adds none
  /// A client that sends FIN while its request is worked on has left: on_gone (cancelled). FIN is
  /// all that a closed socket sends, so a client that gave up cannot be told from one that only
  /// ends its half; those are few. Requests that it pipelined are still answered up to the last.
  /// False: it gets its answer.
  bool fin_is_gone;
  bool is_admin; ///< no Via, no forwarding fields, no request ids
  /// Where connections of clients are counted, in which slot; NULL: `per_client` limits nothing.
  struct wr_arena *arena;
  uint32_t slot;
};

extern const struct wr_server_options wr_server_options_default;

/// What one address is listened on for. All zeros: whoever comes, as they are.
struct wr_listen_options {
  struct wr_tls *tls; ///< over TLS by these rules, which get a holder more; NULL: in the clear
  bool no_h2;         ///< HTTP/2 is not spoken in the clear; over TLS its rules say what is
  bool is_proxied;    ///< every connection begins with a PROXY header
  struct wr_networks proxies; ///< whose header is read, all others are refused; empty: everybody's
  uint32_t per_client;        ///< connections of one client; 0: any number
  struct wr_networks exempt;  ///< proxies, whose number is not limited
};

/// Counters; read-only for others.
struct wr_server_stats {
  uint64_t accepted, open, active, requests;
  uint64_t bad_requests; ///< refused by parser or framing
  uint64_t workspaces;   ///< connections with something under way
  uint64_t spare_bytes;  ///< of memory kept for those that will have
  uint64_t head_timeouts, body_timeouts, send_timeouts;
  uint64_t tls_handshakes[2][2]; ///< done: by version (1.2, 1.3), and full or resumed
  uint64_t tls_failures[WR_TLS_FAILURES];
  uint64_t h2_connections;
  uint64_t h2_floods[WR_H2_STRAIN_KINDS]; ///< connections ended for them
  uint64_t accept_paused; ///< times that connections_max or descriptor pressure stopped accepting
  uint64_t uncounted;     ///< clients for whom there was no cell to count them in
  uint64_t reclaimed;     ///< idle connections closed to make room
  uint64_t refused_client, refused_proxy, refused_descriptors; ///< closed unread, by reason
};

/// `hooks`, `ctx` and `options` (copied) serve all listeners.
struct wr_server *wr_server_new(struct wr_loop *l, const struct wr_server_options *options,
                                const struct wr_http_hooks *hooks, void *ctx);

/// Starts accepting on a listening, non-blocking descriptor. Takes ownership of `fd`. Returns 0 or
/// a negative libuv error. `name` identifies it for the functions below. `options` are copied; NULL
/// is all zeros.
int wr_server_listen(struct wr_server *s, int fd, struct wr_str name,
                     const struct wr_listen_options *options);

/// Gives the listeners of this name new options, for connections that come from now on.
void wr_server_configure(struct wr_server *s, struct wr_str name,
                         const struct wr_listen_options *options);

/// Stops accepting there and closes the descriptor; its connections go on.
void wr_server_unlisten(struct wr_server *s, struct wr_str name);

/// Stops accepting everywhere, closes idle connections, answers what is under way with
/// `Connection: close`, then calls `on_drained` once when the last connection is gone.
void wr_server_drain(struct wr_server *s, void (*on_drained)(void *ctx), void *ctx);

/// The same, but no connection is closed that its client may have sent something on: each answers
/// one more request, with `Connection: close`. One that asks for nothing stays until its time is
/// over, or until `wr_server_drain`, which may follow.
void wr_server_retire(struct wr_server *s, void (*on_drained)(void *ctx), void *ctx);

/// Takes `wr_server_retire` back; listeners have to be given anew.
void wr_server_resume(struct wr_server *s);

/// The socket of the client that asked for `x`, of HTTP/1; it stays the server's.
int wr_server_descriptor(const struct wr_exchange *x);

/// Breaks every connection off now; `on_end` comes for each live exchange.
void wr_server_abort(struct wr_server *s);

/// Borrowed; counts on while the server lives.
const struct wr_server_stats *wr_server_stats(const struct wr_server *s);

/// Frees a server that is drained and whose handles have closed.
void wr_server_free(struct wr_server *s);
