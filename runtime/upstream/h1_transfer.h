#pragma once
/// One transfer of the native transport: what it sends, what it reads, how long it may take, and
/// its end.
///
/// h1_transfer.c has its life and its time, h1_send.c the request, h1_receive.c the response.
/// Private to h1_*.c and transport_h1.c.

#include "http/body.h"
#include "upstream/h1_dial.h"

enum wr_h1_phase {
  WR_H1_PHASE_OPEN, ///< waiting for a connection
  WR_H1_PHASE_SEND, ///< the request leaves
  WR_H1_PHASE_HEAD, ///< the request is out
  WR_H1_PHASE_BODY, ///< the response's body comes
};

enum { WR_H1_UPGRADE_SIZE = 32 };

struct wr_h1_transfer {
  struct wr_transfer base;
  struct wr_list link; ///< among the live, or the spare
  struct wr_list wait; ///< for room in the pool
  struct wr_h1_transport *tr;
  struct wr_transfer_events events;
  void *ctx;
  struct wr_deferred work; ///< what may not be done where it was asked for
  struct wr_timer timer;
  struct wr_h1_pool *pool;
  struct wr_h1_dial *dial;       ///< while it opens a connection
  struct wr_h1_connection *conn; ///< while it has one
  struct wr_error failure;       ///< to be told by `work`
  enum wr_h1_phase phase;
  uint64_t started_ns;
  uint64_t phase_ns; ///< since when the limit of the phase runs
  struct wr_transfer_timeouts timeouts;
  bool is_ended;   ///< told or cancelled: nothing is delivered any more
  bool is_busy;    ///< callbacks are running: its memory stays
  bool is_guarded; ///< see wr_transfer_request
  bool is_idempotent;
  bool is_fresh; ///< rides no pooled connection
  bool is_head;  ///< the method is HEAD

  // The request.
  struct wr_buf head; ///< kept whole, for the second chance; the preamble stands before it
  size_t preamble;    ///< its bytes, which only a fresh connection gets
  size_t head_sent;
  enum wr_transfer_body body_kind;
  struct wr_str body; ///< BYTES
  size_t body_sent;
  struct wr_buf out;    ///< STREAM: framed and not sent yet
  bool has_length;      ///< STREAM: else in chunks
  uint64_t length;      ///< STREAM: bytes announced
  uint64_t written;     ///< STREAM: bytes by the caller
  bool is_written;      ///< STREAM: there will be no more
  bool is_full;         ///< STREAM: the writer waits for room
  bool has_streamed;    ///< STREAM: some of it left and cannot be had again
  bool is_send_broken;  ///< the peer takes no more; what it has said already may be read
  bool is_send_blocked; ///< the socket takes no more now

  // A tunnel.
  char upgrade[WR_H1_UPGRADE_SIZE]; ///< the protocol that is asked for, "" for none
  bool is_tunnel;                   ///< the endpoint has agreed
  bool is_shut;                     ///< our half is closed
  uint64_t tunnel_idle_ns;
  uint64_t tunnel_total_ns;

  // The response.
  bool has_answer; ///< its first byte came
  bool is_final;   ///< the final head was told
  bool is_paused;  ///< by on_data
  bool keep_alive;
  int interims;
  uint64_t keep_ns; ///< how long the peer keeps the connection, as it said
  struct wr_body decoder;
  struct wr_buf trailers; ///< their lines
  struct wr_transfer_stats stats;
};

/// A transfer for `rq`, among the live ones; nothing has begun.
struct wr_h1_transfer *wr_h1_transfer_new(struct wr_h1_transport *tr,
                                          const struct wr_transfer_request *rq);

/// Frees one that is spare, or dies with its transport.
void wr_h1_transfer_free(struct wr_h1_transfer *t);

/// Gets it a connection at the end of the turn (see wr_h1_pool_take), or later.
void wr_h1_transfer_acquire(struct wr_h1_transfer *t);

/// The socket is ready.
void wr_h1_transfer_on_ready(struct wr_h1_transfer *t, int events);

/// The dial has a connection.
void wr_h1_transfer_on_open(struct wr_h1_transfer *t, struct wr_h1_connection *c);

/// The dial tries an address: its share of the time runs.
void wr_h1_transfer_on_dialing(struct wr_h1_transfer *t);

/// The dial is at its end.
void wr_h1_transfer_on_dial_failed(struct wr_h1_transfer *t, enum wr_error_kind kind,
                                   const char *cause);

/// Ends it without a word.
void wr_h1_transfer_cancel(struct wr_h1_transfer *t);

/// After anything that may have moved it: waits for what must come next, or gives back the memory
/// of one that has ended.
void wr_h1_transfer_settle(struct wr_h1_transfer *t);

/// The end of a whole response; the connection goes back to its pool with `is_reusable`.
void wr_h1_transfer_complete(struct wr_h1_transfer *t, bool is_reusable);

/// The end with an error; the message names the endpoint, then `cause`.
void wr_h1_transfer_fail(struct wr_h1_transfer *t, enum wr_error_kind kind, const char *cause);

/// The same where the end may not be delivered (inside a caller's call); the first one counts.
void wr_h1_transfer_fail_later(struct wr_h1_transfer *t, enum wr_error_kind kind,
                               const char *cause);

/// The connection is of no use and no answer came: a second chance, or the end.
void wr_h1_transfer_break(struct wr_h1_transfer *t, const char *cause);

/// Enters a phase, whose limit runs from now.
void wr_h1_transfer_set_phase(struct wr_h1_transfer *t, enum wr_h1_phase phase);
