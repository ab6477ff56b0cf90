#pragma once
/// Serving: takes requests from the HTTP server, finds their route in the live generation, runs the
/// handler as a task, and turns what it returns into a response.
///
/// One per worker. Handlers run in the generation that was live when the head was complete. As soon
/// as a response body flows, the request lets go of its generation: bytes go on in C whatever
/// becomes of the scripts. One worker's loop.

#include "http/server.h"
#include "policy/canary.h"
#include "policy/generation.h"
#include "script/handler.h"
#include "script/request.h"

struct wr_serve;

/// One request being served; its memory is the exchange's.
struct wr_serving {
  struct wr_list link; ///< in generation->requests, or alone
  struct wr_serve *serve;
  struct wr_request request;        ///< read-only for observers: info, trail
  struct wr_generation *generation; ///< NULL once let go
  uint64_t generation_number;       ///< read-only
  struct wr_tally *tally;           // its generation's, where this request is counted
  struct wr_task *task;             ///< while the handler runs
  struct wr_handler handler;        // what `task` runs
  const struct wr_route_declared *route;
  struct wr_response *response; ///< counted reference: what is being sent
  struct wr_deferred sender;
  bool is_tunnel;           ///< read-only: it goes on in another protocol
  bool is_failing;          ///< on_error's function runs
  bool is_bypassed;         ///< read-only: and the handler was not asked (policy/bypass.h)
  uint64_t admission;       ///< of the route's own breaker, 0: none
  enum wr_error_kind error; ///< read-only: what the response reports, NONE for the handler's own
};

struct wr_serve {
  struct wr_script_env *env;
  struct wr_generation *live;  ///< read-only: set by wr_serve_swap
  struct wr_canary canary;     ///< serves a share in place of `live`
  uint64_t active;             ///< read-only: requests being served
  uint64_t tunnels;            ///< read-only: open ones, which are not among `active`
  struct wr_overload overload; ///< read-only: what `weir.overload` makes this worker shed
  uint64_t body_max;           ///< of a request body that a handler reads whole
  /// Told at the end of each request, before its memory goes.
  void (*on_access)(void *ctx, const struct wr_serving *s, const struct wr_exchange_stats *stats);
  void *ctx;
};

/// The hooks for wr_server_new, with a `struct wr_serve` as ctx.
extern const struct wr_http_hooks wr_serve_hooks;

/// New requests go to `next` (counted, may be NULL) from now on.
void wr_serve_swap(struct wr_serve *serve, struct wr_generation *next);

/// Once a beat: moves the overload's level by `env->signals` and what the live generation declares.
void wr_serve_feed(struct wr_serve *serve);

/// Ends the requests that still hold `g` with `generation_retired`, and its background tasks.
void wr_serve_cut(struct wr_generation *g);

/// Reason code for logs and metrics: "ok", "ok_retry", "ok_fallback", "ok_bypass", or what went
/// wrong.
const char *wr_serving_why(const struct wr_serving *s, const struct wr_exchange_stats *stats);
