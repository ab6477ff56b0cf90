#pragma once
/// One client connection: its socket, its buffers, its clock, and the exchange that is under way on
/// it.
///
/// Everything that calls hooks runs inside `wr_connection_advance`, which goes on until nothing
/// moves any more. Functions of exchange.h only note what is wanted, append to `out`, and poke the
/// connection, so that hooks are never called from inside them. Private to http/.

#include "http/body.h"
#include "http/server_internal.h"

enum {
  WR_CONNECTION_HIGH = 64 * 1024,    ///< bytes to send above which writers are asked to wait
  WR_CONNECTION_LOW = 16 * 1024,     ///< bytes to send below which they may go on
  WR_CONNECTION_AHEAD = 16 * 1024,   ///< bytes read ahead while nobody wants them
  WR_CONNECTION_DISCARD = 64 * 1024, ///< unread request body swallowed to keep the connection
};

enum wr_connection_state {
  WR_CONNECTION_HEAD,     ///< idle, or a head is coming in
  WR_CONNECTION_EXCHANGE, ///< the layer above is at work
  WR_CONNECTION_REST,     ///< answered; the rest of the request body is swallowed
  WR_CONNECTION_LINGER,   ///< our side is shut; the client gets time to read our last words
  WR_CONNECTION_CLOSED, ///< no socket any more; memory waits for the handle and for the layer above
};

struct wr_exchange {
  struct wr_exchange_info info;
  struct wr_exchange_stats stats;
  struct wr_head head;
  struct wr_body body;
  const struct wr_http_hooks *hooks;
  void *slot;
  bool is_live;
  // The request body.
  bool is_reading;   // the layer above wants a piece
  bool has_read;     // it did so at least once
  bool is_body_done; // all of it was taken off the wire
  bool is_body_told; // on_body_end was called
  bool is_expecting; // the client waits for 100
  uint64_t body_ns;  // last piece, or last time that reading began
  // The response.
  bool is_responded;
  bool is_ended;
  bool is_aborted;
  bool is_gone;     // on_gone was called
  bool is_bodyless; // HEAD, 204, 304
  bool wants_writable;
  bool keep_alive;
  bool has_excess; // more bytes were written than promised
  int refusal;     // status we answer with ourselves when a gone exchange ends unanswered
  enum wr_framing framing;
  uint64_t left;    // of the promised length
  size_t head_left; // bytes of `out` up to the end of the head
};

struct wr_connection {
  struct wr_server *server;
  struct wr_list link;
  struct wr_io io;
  struct wr_timer timer;
  struct wr_deferred work;
  enum wr_connection_state state;
  bool is_advancing;
  bool is_released;           // the handle has closed
  bool is_blocked;            // the socket takes no more now
  bool is_expired;            // the timer fired
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
  struct wr_exchange x;
  uint16_t client_port;
  char client[48];
};

/// Takes over an accepted socket. False when it cannot be watched; it is closed then.
bool wr_connection_open(struct wr_server *s, int fd, const char *client, uint16_t port);

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

/// Closes an idle connection, lets any other finish its exchange and then close.
void wr_connection_drain(struct wr_connection *c);

/// Hands request body to the layer above while it wants some. May call hooks.
void wr_exchange_deliver(struct wr_exchange *x);

/// Answers with a problem document (RFC 9457). `allow` adds an Allow field.
void wr_exchange_problem(struct wr_exchange *x, int status, const char *detail, bool allow);

/// The request body is refused; the layer above hears `kind` and may answer. Calls a hook.
void wr_exchange_refuse_body(struct wr_exchange *x, enum wr_error_kind kind, const char *text);

static inline struct wr_connection *wr_exchange_connection(const struct wr_exchange *x)
{
  return WR_CONTAINER(x, struct wr_connection, x);
}
