#pragma once
/// One client connection: its socket, its buffers, its clock, and the HTTP/1 exchange that is under
/// way on it.
///
/// Everything that calls hooks runs inside `wr_connection_advance`, which goes on until nothing
/// moves any more. Functions of exchange.h only note what is wanted, append to `out`, and poke the
/// connection, so that hooks are never called from inside them. Private to http/.

#include "http/body.h"
#include "http/channel.h"
#include "http/exchange_internal.h"
#include "http/peer.h"

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
  bool is_scratch;            // `view` lies in the server's scratch memory, not in `in`
  enum wr_error_kind failure; // why the socket is of no use any more
  const char *failure_text;
  struct wr_str view; // input not used yet, while advancing
  struct wr_buf in;   // input not used yet, otherwise
  struct wr_buf out;
  struct wr_region region;
  size_t scanned;    // bytes of input known to hold no end of head
  uint64_t start_ns; // first byte of the head; 0 while idle
  uint64_t idle_ns;  // when it became idle
  uint64_t sent_ns;  // when the socket last took bytes, or stopped to
  uint64_t until_ns; // end of REST and LINGER
  uint64_t armed_ns; // what the timer is set to
  size_t discarded;
  struct wr_h2 *h2; // its streams, once it speaks HTTP/2
  struct wr_exchange x;
  struct wr_body body; // of its request
  size_t head_left;    // bytes of `out` up to the end of its response's head
  bool keep_alive;     // its response said that the connection stays
  struct wr_peer peer;
  int32_t seat; // where its client's connections are counted
};

/// A client to be served.
struct wr_connection_start {
  int fd; ///< taken over
  struct wr_peer peer;
  int32_t seat;       ///< wr_clients_enter gave it; negative: none
  struct wr_tls *tls; ///< NULL: in the clear
  bool no_h2;         ///< HTTP/2 is not spoken
};

/// Begins to serve. False when the socket cannot be watched; it is closed then.
bool wr_connection_open(struct wr_server *s, const struct wr_connection_start *start);

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
