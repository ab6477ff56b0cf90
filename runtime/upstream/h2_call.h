#pragma once
/// One transfer of the HTTP/2 transport: its request, what has come of its response, its time and
/// its end. Private to h2_*.c and transport_h2.c.

#include "http/headers.h"
#include "upstream/h2_link.h"
#include "upstream/upload.h"

enum wr_h2_call_phase {
  WR_H2_CALL_OPEN, ///< waits for a connection
  WR_H2_CALL_SEND,
  WR_H2_CALL_HEAD, ///< the request is out
  WR_H2_CALL_BODY,
};

struct wr_h2_call {
  struct wr_transfer base;
  struct wr_list live;
  struct wr_list on_link; ///< among the link's calls
  struct wr_list ready;   ///< among those to be told something
  struct wr_h2_transport *tr;
  struct wr_h2_link *link; ///< NULL: none
  struct wr_transfer_events events;
  void *ctx;
  struct wr_deferred work; ///< tells `failure`, or what is left when the connection has gone
  struct wr_timer timer;
  struct wr_error failure;
  uint64_t started_ns, phase_ns, idle_max_ns;
  enum wr_h2_call_phase phase;
  struct wr_transfer_timeouts timeouts;
  bool is_ended; ///< told or cancelled
  bool is_busy;  ///< callbacks are running
  bool is_guarded, is_idempotent, is_fresh;

  // The request, in `region`.
  struct wr_region region;
  char *host;
  uint16_t port;
  struct wr_client_tls *tls; ///< a holder; NULL: in the clear
  char *name;                ///< whom the endpoint must prove to be then
  struct wr_str preamble;
  char endpoint[288]; ///< for messages
  nghttp2_nv *fields;
  size_t field_count;
  struct wr_upload upload;
  int32_t id;       ///< of its stream; 0: not submitted
  bool is_deferred; ///< nghttp2 waits for more of the body
  bool wants_writable;

  // The response, reset with each sending.
  struct wr_region answer;
  struct wr_headers head, trailers;
  struct wr_buf in; ///< body not told yet
  size_t head_bytes;
  int status;
  bool has_head; ///< the final one is complete
  bool is_told;  ///< and told
  bool has_length;
  uint64_t length;
  bool saw_end;    ///< the peer has said all
  bool is_closed;  ///< nghttp2 has forgotten the stream
  bool is_reset;   ///< by the peer
  uint32_t code;   ///< and why
  const char *bad; ///< which rule the peer broke
  bool is_paused;
  int interims;
  struct wr_transfer_stats stats;
};

/// A call for the request, among the live ones; nothing has begun.
struct wr_h2_call *wr_h2_call_new(struct wr_h2_transport *tr, const struct wr_transfer_request *rq);

/// Writes the request's head. False when it is too large.
bool wr_h2_call_write_head(struct wr_h2_call *c, const struct wr_transfer_request *rq);

/// Notes what TLS the request wants. False when it names nobody who could prove to be it.
bool wr_h2_call_secure(struct wr_h2_call *c, const struct wr_transfer_request *rq);

/// Gets it a connection.
void wr_h2_call_begin(struct wr_h2_call *c);

/// The connection is open: its stream begins.
void wr_h2_call_submit(struct wr_h2_call *c);

/// Something of it is to be told by the link's next `advance`.
void wr_h2_call_wake(struct wr_h2_call *c);

/// Tells what came.
void wr_h2_call_step(struct wr_h2_call *c);

/// Its connection is of no use, or never was one.
void wr_h2_call_lose(struct wr_h2_call *c, enum wr_error_kind kind, const char *cause);

/// A new sending, or a first one: nothing of a response is known.
void wr_h2_call_forget_answer(struct wr_h2_call *c);

/// Enters a phase, whose limit runs from now.
void wr_h2_call_set_phase(struct wr_h2_call *c, enum wr_h2_call_phase phase);

/// Ends it without a word.
void wr_h2_call_cancel(struct wr_h2_call *c);

/// The end with an error, told at the end of this turn; the first one counts.
void wr_h2_call_fail_later(struct wr_h2_call *c, enum wr_error_kind kind, const char *cause);
