#pragma once
/// A response in the hands of scripts: made by them, or arriving from an upstream.
///
/// Its body is whole, or flows: pieces wait in `body` until somebody takes them (`sink`), and the
/// sender is held back meanwhile. Admission tickets that the call passed through hang on a flowing
/// response and are settled when its last byte has arrived, so a bulkhead slot is held to the end
/// of the body and a truncated body is a failure.
///
/// Counted references: the Lua handle, the task that made it, and the serving request each hold
/// one. The last one gone cancels what still flows. One worker's loop.

#include "base/list.h"
#include "script/task.h"
#include "script/trail.h"
#include "upstream/transport.h"
#include "upstream/upstream.h"

enum wr_response_state {
  WR_RESPONSE_WAITING, ///< no head yet
  WR_RESPONSE_FLOWING, ///< head known, body on its way
  WR_RESPONSE_WHOLE,   ///< complete
  WR_RESPONSE_BROKEN,  ///< failed: see error
};

enum {
  WR_RESPONSE_TICKETS_MAX = 16,
  WR_RESPONSE_REGION_MAX = 256 * 1024,
  WR_RESPONSE_HEADERS_MAX = 128,
};

struct wr_response;
struct wr_request;

/// Where a flowing body goes.
struct wr_response_sink {
  /// A piece; false holds the sender back until wr_response_resume.
  bool (*on_data)(void *ctx, struct wr_response *r, struct wr_str data);
  /// No more pieces: r->state is WHOLE or BROKEN.
  void (*on_end)(void *ctx, struct wr_response *r);
};

/// Who reads along while a body flows to somebody else.
struct wr_response_tee {
  /// A piece. True: let the sender go on even if the sink is full.
  bool (*on_data)(void *ctx, struct wr_str data);
  /// Last call: r->state is WHOLE or BROKEN.
  void (*on_end)(void *ctx, struct wr_response *r);
};

struct wr_response_ticket {
  uint64_t id;
  enum wr_outcome outcome; ///< if the body arrives whole
};

struct wr_response {
  unsigned refs;
  struct wr_response **handle; ///< the Lua handle's pointer to it, NULL without one
  struct wr_list link;         ///< in the task that made it
  struct wr_script_env *env;
  enum wr_response_state state; ///< read-only
  int status;
  struct wr_region region;
  struct wr_headers headers;  ///< end-to-end fields
  struct wr_headers trailers; ///< fields that follow the body; known when it is WHOLE
  struct wr_buf body;         ///< read-only: pieces nobody took yet, or the whole
  bool has_length;
  int chain_link; // of the attempt, while it is under way: script/attempt.h
  uint64_t length;
  struct wr_error error;                   ///< BROKEN: why
  bool is_idempotent;                      ///< the request that it answers may be sent again
  bool is_replayable;                      ///< its request can be sent again, if that is harmless
  struct wr_str tunnel;                    ///< 101: the protocol; absent: an ordinary response
  struct wr_str tunnel_asked;              ///< the protocol that the request asked for
  uint64_t tunnel_key;                     ///< that of the request that may go on in it
  bool is_upstream;                        ///< came from an upstream, not from a script
  char rung[WR_TRAIL_NAME_MAX];            ///< X-Degraded: the ladder's rung, "" for none
  struct wr_transfer *transfer;            // while it is under way
  struct wr_upstream *upstream;            // counted reference, or NULL
  struct wr_upstream_choice choice;        // where the attempt goes, while it is under way
  struct wr_request *upload;               // whose body we send, or NULL
  struct wr_op op;                         // somebody waits for the head, or for the whole
  void (*on_ready)(struct wr_response *r); // resumes whoever waits on op
  bool wants_whole; ///< its body is a script's: it may be the answer to any number of requests
  bool is_paused;
  const struct wr_response_sink *sink;
  void *sink_ctx;
  const struct wr_response_tee *tee;
  void *tee_ctx;
  struct wr_response_ticket tickets[WR_RESPONSE_TICKETS_MAX];
  size_t ticket_count;
  uint64_t sent_bytes, received_bytes; ///< private: of the bodies, when it is over
  uint64_t started_ns;
  uint64_t head_ns; // when the head came, 0 before
};

/// A response without head, one reference, linked to `t` (may be NULL), which owns that reference.
/// `body_max` bounds what may wait in memory.
struct wr_response *wr_response_new(struct wr_script_env *env, struct wr_task *t, size_t body_max);

/// Frees what is kept for later responses; for the end of `env`.
void wr_response_free_spare(struct wr_script_env *env);

/// One more reference.
struct wr_response *wr_response_ref(struct wr_response *r);

/// One reference less; the last cancels and frees.
void wr_response_unref(struct wr_response *r);

/// It has a client now: unless its body is a script's own, a Lua handle which is all that holds it
/// beside its caller is cut off. True: it was. Its memory would wait for the collector else, which
/// does not know how much it is.
bool wr_response_cut(struct wr_response *r);

/// One reference less, by who has sent it to a client, and the end of its handle (wr_response_cut).
void wr_response_sent(struct wr_response *r);

/// The task no longer cares: takes its reference over for the caller.
void wr_response_take(struct wr_response *r);

/// Cancels and drops whatever task `t` made and nobody took.
void wr_response_drop_all(struct wr_task *t);

/// Gives the body away: what waits goes to the sink at once, the rest as it comes. The sink's
/// `on_end` may be called from inside.
void wr_response_attach(struct wr_response *r, const struct wr_response_sink *sink, void *ctx);

/// Lets `tee` read along, from the body's first byte: nobody may have taken any of it. At most one.
/// For a body that is whole, or broken, both of its functions are called from inside.
void wr_response_read_along(struct wr_response *r, const struct wr_response_tee *tee, void *ctx);

/// Lets the sender go on after the sink returned false.
void wr_response_resume(struct wr_response *r);

/// Stops whatever is under way; tickets settle as cancelled unless the head told of a failure,
/// state becomes BROKEN (cancelled).
void wr_response_cancel(struct wr_response *r);

/// Ends what is under way as a failure of this kind: whoever waits for it is told.
void wr_response_fail(struct wr_response *r, const struct wr_error *error);

/// Hangs an admission on a flowing response; false when it must be settled now.
bool wr_response_hang_ticket(struct wr_response *r, uint64_t id, enum wr_outcome outcome);

/// The name of the upstream it comes from, a word of the meter; "" of none.
const char *wr_response_upstream(const struct wr_response *r);

/// For fetch.c: the head is known; the body follows.
void wr_response_on_head(struct wr_response *r);

/// For fetch.c: a piece of body; false: hold the sender back.
bool wr_response_on_data(struct wr_response *r, struct wr_str data);

/// For fetch.c: the end; kind NONE after a complete body.
void wr_response_on_end(struct wr_response *r, const struct wr_error *error);
