#pragma once
/// What an exchange is made of, and what a protocol has to do for it. For http/{exchange,judge}.c
/// and the two protocols: HTTP/1 (`h1.h`, one exchange at a time in its connection) and HTTP/2.
///
/// exchange.c decides what is the same for all of them: order of calls, lengths, limits, answers
/// made here. A protocol embeds `struct wr_exchange`, moves bytes by its `ops`, and is the only one
/// who calls hooks: from its own progress, never from inside a function of exchange.h.

#include "http/response.h"
#include "http/server_internal.h"

enum {
  WR_EXCHANGE_HIGH = 64 * 1024, ///< bytes to send above which writers are asked to wait
  WR_EXCHANGE_LOW = 16 * 1024,  ///< bytes to send below which they may go on
};

/// One protocol. None of these calls hooks but `take`, and that only by `wr_exchange_refuse_body`.
struct wr_exchange_ops {
  /// The next piece of request body, used up by the call and valid until it is asked again; sets
  /// `is_body_done` with the last one. False: there is none now, or the body is broken.
  bool (*take)(struct wr_exchange *x, struct wr_str *piece);
  /// Has all of the request's body come? NULL: not known before it is read.
  bool (*is_here)(const struct wr_exchange *x);
  /// No more of the request is read; what the client has under way is not ours to wait for.
  void (*stop_reading)(struct wr_exchange *x);
  void (*send_continue)(struct wr_exchange *x);
  /// The head; framing and length are in `x` and in `response`. The protocol adds what says whether
  /// the connection stays.
  void (*send_head)(struct wr_exchange *x, struct wr_response *response);
  void (*send)(struct wr_exchange *x, struct wr_str data);
  void (*send_end)(struct wr_exchange *x);       ///< after it nothing but `trailers`
  size_t (*unsent)(const struct wr_exchange *x); ///< bytes that wait for the client
  bool (*is_open)(const struct wr_exchange *x);  ///< can the client still be told anything?
  /// The exchange can only be broken off: `on_gone` with this reason comes.
  void (*fail)(struct wr_exchange *x, enum wr_error_kind kind, const char *text);
  void (*reset)(struct wr_exchange *x); ///< as `fail`, as if the client had reset its connection
  const struct wr_proxy_protocol *(*ends)(const struct wr_exchange *x);
  void (*poke)(struct wr_exchange *x); ///< has progress be made at the end of this turn
};

struct wr_exchange {
  const struct wr_exchange_ops *ops;
  struct wr_server *server;
  struct wr_exchange_info info;
  struct wr_exchange_stats stats;
  struct wr_head head;
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
  bool is_tunnel;  // bytes go both ways as they are
  bool has_excess; // more bytes were written than promised
  int refusal;     // status we answer with ourselves when a gone exchange ends unanswered
  enum wr_framing framing;
  uint64_t left;              // of the promised length
  struct wr_headers trailers; // that follow the body
};

/// Hands request body to the layer above while it wants some. Calls hooks.
void wr_exchange_deliver(struct wr_exchange *x);

/// Lets a writer go on that was told to wait, once little enough waits. Calls a hook; true if so.
bool wr_exchange_go_on(struct wr_exchange *x);

/// The request body is refused; the layer above hears `kind` and may answer. Calls a hook.
void wr_exchange_refuse_body(struct wr_exchange *x, enum wr_error_kind kind, const char *text);

/// The client is gone, as the layer above must hear once unless it is done. Calls a hook.
void wr_exchange_tell_gone(struct wr_exchange *x, enum wr_error_kind kind, const char *text);

/// It is over, with `stats` complete. Calls the last hook.
void wr_exchange_finish(struct wr_exchange *x);

/// Answers with a problem document (RFC 9457). `allow` adds an Allow field.
void wr_exchange_problem(struct wr_exchange *x, int status, const char *detail, bool allow);
