#pragma once
/// The admin listener: health, metrics, status, reload. Runs in the master, never sees a client of
/// the gateway.
///
///     GET  /livez    200 while the loop turns
///     GET  /readyz   200 when a generation is live in at least one worker, weir is not draining,
///     and
///                    no critical health check is down
///     GET  /health   application/health+json, all checks with their history
///     GET  /metrics  Prometheus text format
///     GET  /status   JSON
///     GET  /requests  JSON: the newest requests, ?limit=N, ?failed=1
///     GET  /requests/show?id=ID   one of them, with how it was decided
///     GET  /generations   JSON: the script generations and their states
///     GET  /generations/show?of=N         what a bundle declares; without N: the files on disk
///     GET  /generations/changes?from=N&to=N  what `to` (else the files) would change of `from`
///                    (else the live one)
///     POST /generations/use?number=N      that one is live again; ?force=1 lifts a quarantine
///     POST /generations/rollback          the canary goes, or the shadow; else the one before is
///                    live again
///     POST /generations/promote           the canary is live
///     POST /upgrade  the program that is at weir's path today takes over; answers when its workers
///     serve, or why not (409: something else is under way)
///     POST /reload   loads the bundle again; answers when it is live in every worker, or why it is
///     not. With ?force=1 even one that is quarantined; with ?dry_run=1 it answers what would
///     change; with ?canary=SHARE&for=TIME&by=HEADER as a canary first; with
///     ?shadow=1&for=TIME it answers where it would decide otherwise GET  /breakers and its like:
///     the named primitives of a kind, JSON POST /breakers/open?name=… and its like, &value=… where
///     one is taken: tables/actions.def
///
///     GET, POST /log  how grave a log line must be, ?level=LEVEL or ?level=reset
///     GET  /events   text/event-stream: the status each second
///
/// GET never changes anything. Who may ask: admin/gate.h. Every POST is logged: admin/audit.h.

#include "arena/registry.h"
#include "base/json.h"
#include "base/log.h"
#include "http/server.h"
#include "loop/loop.h"
#include "policy/canary.h"
#include "script/meter.h"

struct wr_admin;

/// A caller that waits for an answer. Belongs to the admin listener.
struct wr_admin_waiter;

/// How the files are to be loaded.
struct wr_admin_reload {
  bool is_forced;               ///< whatever is quarantined
  struct wr_canary_plan canary; ///< share 0: live at once
  bool is_shadow;               ///< never live: its decisions are only compared
  uint64_t for_ns;              ///< how long it is a canary or a shadow
};

/// What the master does for the admin listener.
struct wr_admin_ops {
  bool (*is_ready)(void *ctx);
  /// Writes the health document; false when it says "fail".
  bool (*write_health)(void *ctx, struct wr_json *j);
  /// In the OpenMetrics format, or in Prometheus' own.
  bool (*write_metrics)(void *ctx, bool is_openmetrics, struct wr_buf *out);
  void (*write_status)(void *ctx, struct wr_json *j);
  void (*write_generations)(void *ctx, struct wr_json *j);
  /// The newest `count` requests, newest first; of all, or of those that failed.
  void (*write_requests)(void *ctx, bool failed_only, size_t count, struct wr_json *j);
  /// One of them with its chain of decisions; false when it is not kept.
  bool (*write_request)(void *ctx, struct wr_str id, struct wr_json *j);
  /// The following answer once through wr_admin_answer, maybe at once.
  /// Loads the files.
  void (*reload)(void *ctx, struct wr_admin_waiter *waiter, const struct wr_admin_reload *asked);
  /// The canary or the shadow goes away; without one the generation before goes live again.
  void (*rollback)(void *ctx, struct wr_admin_waiter *waiter);
  /// The canary goes live. False: there is none, and nobody will answer.
  bool (*promote)(void *ctx, struct wr_admin_waiter *waiter);
  /// Generation `number` goes live again.
  void (*use)(void *ctx, struct wr_admin_waiter *waiter, uint64_t number, bool force);
  /// What generation `subject` declares; 0: the files on disk.
  void (*show)(void *ctx, struct wr_admin_waiter *waiter, uint64_t subject);
  /// What `subject` (0: the files on disk) would change of generation `base` (0: the live one).
  void (*compare)(void *ctx, struct wr_admin_waiter *waiter, uint64_t base, uint64_t subject);
  /// Another program takes over; the answer may come from that.
  void (*upgrade)(void *ctx, struct wr_admin_waiter *waiter);
  void *ctx;
  struct wr_registry *registry; ///< of the named primitives
  struct wr_log *log;           ///< hears of every action
  struct wr_meter *meter;       ///< of the master
  enum wr_log_level log_level;  ///< that weir was started with
};

/// Serves on `fd`, a listening descriptor that it owns from now on. `token` (NULL: none) must be
/// shown by who comes over TCP; the caller keeps it alive.
struct wr_admin *wr_admin_new(struct wr_loop *l, int fd, bool is_tcp, const char *token,
                              const struct wr_admin_ops *ops);

/// What a waiter waits for: 200 or 422 and a JSON body.
void wr_admin_answer(struct wr_admin_waiter *waiter, bool ok, struct wr_str json);

/// Something else is under way: 409, and why.
void wr_admin_refused(struct wr_admin_waiter *waiter, const char *why);

/// A descriptor of the waiter's connection, the caller's from now on; -1 when it has left, or there
/// is none (`waiter` NULL).
int wr_admin_waiter_fd(const struct wr_admin_waiter *waiter);

/// Takes no more connections, and answers one more request on each that there is; and the opposite,
/// with another descriptor as for `wr_admin_new`.
void wr_admin_rest(struct wr_admin *a);
void wr_admin_resume(struct wr_admin *a, int fd);

/// Connections that are open.
size_t wr_admin_open_count(const struct wr_admin *a);

/// Stops serving; `on_closed` when the last connection is gone, then wr_admin_free.
void wr_admin_close(struct wr_admin *a, void (*on_closed)(void *ctx), void *ctx);

/// Breaks off what wr_admin_close still waits for.
void wr_admin_abort(struct wr_admin *a);

/// Frees a closed listener.
void wr_admin_free(struct wr_admin *a);
