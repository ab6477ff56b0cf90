#pragma once
/// A request in the hands of scripts: what the client sent, its body on demand, and the trail of
/// decisions.
///
/// Lives in the serving request's memory; the Lua handle is cut off when the handler has answered
/// or the exchange is over, and says so when it is used afterwards, unless a refresh in the
/// background needs it: then it goes on as a copy. One worker's loop.

#include "http/exchange.h"
#include "resilience/priority.h"
#include "script/response.h"
#include "script/trail.h"

enum { WR_REQUEST_PARAMS_MAX = 16 };

struct wr_request_param {
  struct wr_str name;
  struct wr_str value; ///< decoded
};

enum wr_request_body {
  WR_REQUEST_UNREAD,
  WR_REQUEST_READING,   ///< a script waits for the whole
  WR_REQUEST_WHOLE,     ///< in `body`
  WR_REQUEST_FORWARDED, ///< went, or goes, to an upstream
  WR_REQUEST_BROKEN,    ///< see `gone`
};

/// A task that waits for the whole body. Told once, and off the list by then.
struct wr_request_reader {
  struct wr_list link;
  void (*on_ready)(struct wr_request_reader *reader, struct wr_request *q);
};

struct wr_request {
  struct wr_exchange *x; ///< NULL once over
  const struct wr_exchange_info *info;
  struct wr_script_env *env;
  const struct wr_networks *trust; ///< of its generation; NULL once that is let go
  const char *priority_header;     ///< of its generation: bears `priority` upstream; NULL: none
  uint8_t priority;                ///< enum wr_priority: what its handler begins with
  uint64_t tunnel_key;             ///< of the response that may make it a tunnel; 0: none
  struct wr_str client;            ///< whose request it is, see wr_trust_client
  struct wr_request_param params[WR_REQUEST_PARAMS_MAX];
  size_t param_count;
  struct wr_trail trail;
  struct wr_headers told; ///< what policies tell the client beside any answer
  struct wr_list handles; ///< of Lua; the request may go before them
  bool is_explained;      ///< a trusted client wants to see its chain of decisions
  bool is_cut;            ///< Lua has no business with it any more
  enum wr_request_body body_state;
  struct wr_buf body;
  uint64_t body_limit;        ///< of the route, in bytes however the body is used; 0: none
  uint64_t body_seen;         // bytes so far
  struct wr_error gone;       ///< kind is set when the client left or broke its body
  struct wr_list readers;     // struct wr_request_reader: who waits for the whole body
  struct wr_response *upload; // whose transfer gets the body
  bool upload_ended;
  bool is_copy;          ///< made by wr_request_copy
  bool is_kept;          ///< when it is over, its Lua handle goes on as a copy
  struct wr_tried tried; // endpoints that its attempts met
};

/// `body_max` bounds a body that a script reads whole.
void wr_request_init(struct wr_request *q, struct wr_script_env *env, struct wr_exchange *x,
                     size_t body_max);

/// Tells whom to believe about the client, and takes out what others say of its certificate;
/// `trust` must live until the handler has answered.
void wr_request_trust(struct wr_request *q, const struct wr_networks *trust);

/// Its priority: what a trusted proxy says in the field `header` (NULL: there is none), else
/// `priority`, the route's. After `wr_request_trust`.
void wr_request_prioritise(struct wr_request *q, enum wr_priority priority, const char *header);

/// The exchange is over: frees the body. The Lua handle has been cut off before.
void wr_request_fini(struct wr_request *q);

/// Frees what is kept for later requests; for the end of `env`.
void wr_request_free_spare(struct wr_script_env *env);

/// A request of the same resource with the same fields that does not end with the exchange, for
/// what is done behind the client's back. It has no body, and no trail of decisions. Owned by the
/// caller, who ends it with wr_request_free_copy.
struct wr_request *wr_request_copy(const struct wr_request *q, struct wr_str method);

/// Ends a copy.
void wr_request_free_copy(struct wr_request *q);

/// Does the request have a body at all?
bool wr_request_has_body(const struct wr_request *q);

/// The server's hooks, passed on by the serving layer.
bool wr_request_on_body(struct wr_request *q, struct wr_str data);
void wr_request_on_body_end(struct wr_request *q);
void wr_request_on_gone(struct wr_request *q, const struct wr_error *error);

/// Reads the whole body, which nobody may have forwarded; `reader` (the caller's, linked until
/// then) is told when it is there or broken. Several may wait for the same body.
void wr_request_read_whole(struct wr_request *q, struct wr_request_reader *reader);

/// Sends the body along with `r`'s transfer, which has started and can take writes.
void wr_request_start_upload(struct wr_request *q, struct wr_response *r);

/// The transfer can take more.
void wr_request_upload_writable(struct wr_request *q);

/// The transfer is over; what is left of the body is the server's to drain.
void wr_request_stop_upload(struct wr_request *q);
