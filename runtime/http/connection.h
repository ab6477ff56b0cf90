#pragma once
/// One client connection: its socket, its clock, and, while it has something to do, a workspace
/// with its buffers and the HTTP/1 exchange that is under way on it.
///
/// Everything that calls hooks runs inside `wr_connection_advance`, which goes on until nothing
/// moves any more. Functions of exchange.h only note what is wanted, append to `out`, and poke the
/// connection, so that hooks are never called from inside them. Private to http/.

#include "http/channel.h"
#include "http/ends.h"
#include "http/peer.h"
#include "http/workspace.h"

enum {
  WR_CONNECTION_AHEAD = 16 * 1024,   ///< bytes read ahead while nobody wants them
  WR_CONNECTION_DISCARD = 64 * 1024, ///< unread request body swallowed to keep the connection
};

enum wr_connection_state {
  WR_CONNECTION_HANDSHAKE, ///< of TLS
  WR_CONNECTION_HEAD,      ///< idle, or a head is coming in
  WR_CONNECTION_EXCHANGE,  ///< the layer above is at work
  WR_CONNECTION_H2,        ///< HTTP/2: any number of exchanges, see h2.h
  WR_CONNECTION_REST,      ///< answered; the rest of the request body is swallowed
  WR_CONNECTION_LINGER,    ///< our side is shut; the client gets time to read our last words
  WR_CONNECTION_CLOSED, ///< no socket any more; memory waits for the handle and for the layer above
};

struct wr_h2;

struct wr_connection {
  struct wr_server *server;
  struct wr_list link;
  struct wr_list idle; // in the server's list while it waits for a request
  struct wr_io io;
  struct wr_channel channel;
  struct wr_timer timer;
  struct wr_deferred work;
  enum wr_connection_state state;
  bool is_advancing;
  bool is_released;           // the handle has closed
  bool is_blocked;            // the socket takes no more now
  bool is_expired;            // the timer fired
  bool is_h1;                 // it speaks HTTP/1: no preface of HTTP/2 is looked for
  bool must_close;            // no further request is read
  bool must_reset;            // it ends with RST
  bool saw_fin;               // the client sends no more
  enum wr_error_kind failure; // why the socket is of no use any more
  const char *failure_text;
  struct wr_workspace *ws; // while advancing, and while anything of use is in it
  uint64_t since_ns;       // when it began to wait, or the head did to come in, or the state began
  struct wr_h2 *h2;        // its streams, once it speaks HTTP/2
  struct wr_peer peer;
  struct wr_proxy_protocol *ends; // see ends.h; NULL: nobody has asked
  int32_t seat;                   // where its client's connections are counted
  uint32_t discarded;             // bytes, in REST and LINGER
};

/// A client to be served.
struct wr_connection_start {
  int fd; ///< taken over
  struct wr_peer peer;
  const struct wr_proxy_protocol *told; ///< what its proxy said; NULL: it has none
  int32_t seat;                         ///< wr_clients_enter gave it; negative: none
  struct wr_tls *tls;                   ///< NULL: in the clear
  bool no_h2;                           ///< HTTP/2 is not spoken
};

/// Input that waits, outside of `advance`.
static inline size_t wr_connection_kept(const struct wr_connection *c)
{
  return c->ws ? c->ws->in.len : 0;
}

/// Begins to serve. False when the socket cannot be watched; it is closed then.
bool wr_connection_open(struct wr_server *s, const struct wr_connection_start *start);

/// Does it wait for a request, in the server's list of those that do?
static inline bool wr_connection_is_idle(const struct wr_connection *c)
{
  return !wr_list_is_empty(&c->idle);
}

/// It waits no longer for a request: bytes of one have come.
void wr_connection_wake(struct wr_connection *c);

/// Does all that can be done now: hooks, writing, the next request. Never nested.
void wr_connection_advance(struct wr_connection *c);

/// Has `advance` run at the end of this turn, unless it is running.
void wr_connection_poke(struct wr_connection *c);

/// The socket is of no use: told to the layer above by the next `advance`. Keeps the first reason.
void wr_connection_fail(struct wr_connection *c, enum wr_error_kind kind, const char *text);

/// Uses up input.
void wr_connection_consume(struct wr_connection *c, size_t len);

/// Closes the socket now; `reset` sends RST. Safe to repeat.
void wr_connection_close(struct wr_connection *c, bool reset);

/// Our last words have left: shuts our side and throws away what comes until the client closes, or
/// for a while.
void wr_connection_linger(struct wr_connection *c);

/// Closes an idle connection, lets any other finish its exchange and then close.
void wr_connection_drain(struct wr_connection *c);
