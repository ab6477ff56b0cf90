#include "worker.h"

#include "arena/loudness.h"
#include "arena/slot.h"
#include "base/alloc.h"
#include "base/check.h"
#include "observe/events.h"
#include "observe/explain.h"
#include "observe/log_access.h"
#include "observe/log_tap.h"
#include "observe/pressure.h"
#include "observe/telemetry.h"
#include "policy/lineage.h"
#include "script/meter.h"
#include "script/watchdog.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum { BODY_MAX = 8 * 1024 * 1024 };

#define BEAT_NS (100 * WR_MS)

struct wr_worker {
  struct wr_services services;
  struct wr_log_tapped log_tap;
  struct wr_explain explain;
  struct wr_watchdog watchdog;
  struct wr_arena *arena;
  uint32_t slot;
  enum wr_log_level log_level; // that it was started with
  struct wr_mailbox mailbox;
  struct wr_io bell;
  struct wr_server *server;
  struct wr_serve serve;
  struct wr_lineage lineage;
  struct wr_telemetry telemetry;
  struct wr_timer beat;
  uint64_t beat_due_ns;           // what the loop comes to later than this, it comes to late
  struct wr_server_stats counted; // what the metrics know of the server's
  bool is_leaving;
  bool is_retiring; // leaving, and idle clients may still ask
};

// --- generations --------------------------------------------------------------------------------

static void answer(struct wr_worker *w, enum wr_worker_message type, uint64_t number,
                   const void *payload, size_t size)
{
  struct wr_message head = {.type = type, .size = (uint32_t)size, .number = number};
  wr_mailbox_send(&w->mailbox, &head, payload, -1);
}

static void report_failure(struct wr_worker *w, uint64_t number,
                           const struct wr_generation_error *error)
{
  struct wr_worker_failure failure = {.error = error->script};
  snprintf(failure.stage, sizeof(failure.stage), "%s", error->stage);
  answer(w, WR_WORKER_FAILED, number, &failure, sizeof(failure));
}

static void on_ready(void *ctx, uint64_t number, const struct wr_generation_error *error)
{
  struct wr_worker *w = ctx;
  if (error == NULL) {
    answer(w, WR_WORKER_PREPARED, number, NULL, 0);
  } else {
    report_failure(w, number, error);
  }
}

static void on_slice(void *ctx, uint64_t ns)
{
  struct wr_worker *w = ctx;
  wr_meter_observe(&w->services.meter, WR_METRIC_POLICY_LOAD, (double)ns / 1e9, NULL);
}

// Connections that come from now on are taken as the live generation declares.
static void configure_listeners(struct wr_worker *w)
{
  if (w->serve.live == NULL) return;
  WR_LIST_EACH(&w->serve.live->script->declared.listens, node) {
    struct wr_listen_declared *d = WR_CONTAINER(node, struct wr_listen_declared, link);
    struct wr_listen_options options = d->options;
    options.exempt = w->serve.live->script->declared.trust;
    wr_server_configure(w->server, wr_str_of(d->address), &options);
  }
}

static void probe(struct wr_worker *w, const struct wr_message *head, const void *payload)
{
  struct wr_canary_plan plan;
  if (head->size != sizeof(plan)) return;
  memcpy(&plan, payload, sizeof(plan));
  wr_lineage_probe(&w->lineage, head->number, &plan);
}

static void export(struct wr_worker *w, const struct wr_message *head, const void *payload, int fd)
{
  struct wr_worker_export what;
  if (head->size != sizeof(what)) return;
  memcpy(&what, payload, sizeof(what));
  wr_telemetry_forward(&w->telemetry, (enum wr_otlp_signal)what.signal, what.records, fd);
}

static void commit(struct wr_worker *w, uint64_t number)
{
  uint64_t from = wr_loop_clock();
  if (!wr_lineage_commit(&w->lineage, number)) return;
  configure_listeners(w);
  double seconds = (double)(wr_loop_clock() - from) / 1e9;
  wr_meter_observe(&w->services.meter, WR_METRIC_POLICY_SWAP, seconds, NULL);
  struct wr_slot *slot = wr_slot_of(w->arena, w->slot);
  atomic_store_explicit(&slot->generation, number, memory_order_relaxed);
  answer(w, WR_WORKER_LIVE, number, NULL, 0);
}

// --- leaving ------------------------------------------------------------------------------------

static void leave(struct wr_worker *w)
{
  wr_loop_stop(&w->services.loop);
}

static void on_drained(void *ctx)
{
  leave(ctx);
}

static void drain(struct wr_worker *w)
{
  if (w->is_leaving && !w->is_retiring) return;
  w->is_leaving = true;
  w->is_retiring = false;
  wr_server_drain(w->server, on_drained, w);
}

// What scripts do by themselves the successor does already.
static void retire_all(struct wr_worker *w)
{
  if (w->is_leaving) return;
  w->is_leaving = true;
  w->is_retiring = true;
  if (w->serve.live) wr_generation_end_jobs(w->serve.live);
  wr_server_retire(w->server, on_drained, w);
}

// --- the mailbox --------------------------------------------------------------------------------

static void listen_on(struct wr_worker *w, struct wr_str address, int fd)
{
  int rc = wr_server_listen(w->server, fd, address, NULL);
  if (rc == 0) configure_listeners(w);
  if (rc == 0) return;
  wr_log_text(&w->services.log, WR_LOG_ERROR, "worker.listen", "cannot accept on %.*s: %s",
              WR_STR_ARG(address), uv_strerror(rc));
}

static void on_message(struct wr_mailbox *m, const struct wr_message *head, const void *payload,
                       int fd)
{
  struct wr_worker *w = WR_CONTAINER(m, struct wr_worker, mailbox);
  struct wr_str text = {payload, head->size};
  switch ((enum wr_worker_message)head->type) {
  case WR_WORKER_LISTEN: listen_on(w, text, fd); return; // the server owns fd
  case WR_WORKER_UNLISTEN: wr_server_unlisten(w->server, text); break;
  case WR_WORKER_PREPARE: wr_lineage_prepare(&w->lineage, head->number, fd); break;
  case WR_WORKER_SHADOW: wr_lineage_shadow(&w->lineage, head->number, fd); break;
  case WR_WORKER_CANARY: probe(w, head, payload); break;
  case WR_WORKER_COMMIT: commit(w, head->number); break;
  case WR_WORKER_DISCARD: wr_lineage_discard(&w->lineage); break;
  case WR_WORKER_EXPORT: export(w, head, payload, fd); break;
  case WR_WORKER_DRAIN: drain(w); break;
  case WR_WORKER_STOP: leave(w); break;
  case WR_WORKER_RETIRE: retire_all(w); break;
  case WR_WORKER_PREPARED:
  case WR_WORKER_FAILED:
  case WR_WORKER_LIVE: break; // ours to say
  }
  if (fd >= 0) close(fd);
}

// Without a master nobody would replace us or tell us to stop: finish and go.
static void on_hangup(struct wr_mailbox *m)
{
  struct wr_worker *w = WR_CONTAINER(m, struct wr_worker, mailbox);
  wr_mailbox_close(m, NULL);
  drain(w);
}

// --- every turn ---------------------------------------------------------------------------------

static void start_beat(struct wr_worker *w)
{
  w->beat_due_ns = wr_loop_now(&w->services.loop) + BEAT_NS;
  wr_timer_start_at(&w->beat, w->beat_due_ns);
}

static void on_beat(struct wr_timer *t)
{
  struct wr_worker *w = WR_CONTAINER(t, struct wr_worker, beat);
  uint64_t now = wr_loop_now(&w->services.loop);
  uint64_t lag_ns = now - w->beat_due_ns;
  wr_meter_observe(&w->services.meter, WR_METRIC_LOOP_LAG, (double)lag_ns / 1e9, NULL);
  wr_pressure_sample(&w->services.env, &w->serve, lag_ns);
  start_beat(w);
  w->services.log.level = wr_loudness_level(w->arena, w->log_level);
  wr_guard_collect(&w->services.guard, now);
  wr_log_repeats_settle(&w->services.repeats, &w->services.log, now);
  wr_lineage_beat(&w->lineage);
  wr_events_sample(&w->services.env, w->server, &w->serve, &w->counted);
}

static void on_turn(struct wr_loop *l, void *ctx)
{
  struct wr_worker *w = ctx;
  wr_slot_beat(wr_slot_of(w->arena, w->slot), wr_loop_now(l));
  wr_log_turn(&w->services.log);
}

static void on_bell(struct wr_io *io, int events)
{
  (void)events;
  struct wr_worker *w = WR_CONTAINER(io, struct wr_worker, bell);
  wr_slot_hush(w->arena, w->slot);
  wr_guard_collect(&w->services.guard, wr_loop_now(&w->services.loop));
}

static void on_grant(void *ctx, uint64_t id, bool granted)
{
  struct wr_worker *w = ctx;
  if (wr_lineage_granted(&w->lineage, id, granted)) return;
  // The waiter is gone and did not say so: give the slot back.
  if (granted) {
    wr_guard_leave(&w->services.guard, id, WR_OUTCOME_CANCELLED, wr_loop_now(&w->services.loop));
  }
}

static void on_primitive_event(void *ctx, struct wr_entry *entry, const union wr_guard_event *event)
{
  struct wr_worker *w = ctx;
  wr_events_primitive(&w->services.log, &w->services.meter, entry, event);
}

static void on_access(void *ctx, const struct wr_serving *s, const struct wr_exchange_stats *stats)
{
  struct wr_worker *w = ctx;
  const char *why = wr_serving_why(s, stats);
  wr_log_access(&w->services.env, s, stats, why);
  wr_telemetry_request(&w->telemetry, s, stats);
  wr_explain_keep(&w->explain, s, stats, why);
}

// --- life ---------------------------------------------------------------------------------------

static void set_signals(void)
{
  // The master decides when to stop; a terminal's Ctrl-C reaches us too and must not.
  static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2, SIGQUIT};
  for (size_t i = 0; i < WR_COUNT(ignored); i++) signal(ignored[i], SIG_IGN);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool open_worker(struct wr_worker *w, const struct wr_settings *settings, int fd,
                        struct wr_error *error)
{
  struct wr_services_owner owner = {.arena = w->arena,
                                    .slot = w->slot,
                                    .settings = settings,
                                    .callbacks = {on_grant, on_primitive_event, w}};
  if (!wr_services_init(&w->services, &owner, error)) return false;
  if (!wr_watchdog_start(&w->watchdog, wr_slot_of(w->arena, w->slot), error)) return false;
  w->services.env.watchdog = &w->watchdog;
  w->log_level = settings->log_level;
  wr_telemetry_init(&w->telemetry, settings->otlp, &w->services.env);
  struct wr_loop *l = &w->services.loop;
  wr_explain_init(&w->explain);
  wr_log_tap_open(&w->log_tap, &w->services.log, w->arena, w->slot, l);
  struct wr_server_options options = wr_server_options_default;
  options.via = "weir";
  options.fin_is_gone = true;
  options.connections_max = settings->connections;
  options.arena = w->arena;
  options.slot = w->slot;
  w->serve = (struct wr_serve){
      .env = &w->services.env, .body_max = BODY_MAX, .on_access = on_access, .ctx = w};
  w->server = wr_server_new(l, &options, &wr_serve_hooks, &w->serve);
  w->mailbox.on_message = on_message;
  w->mailbox.on_hangup = on_hangup;
  struct wr_slot *slot = wr_slot_of(w->arena, w->slot);
  int rc = wr_mailbox_open(&w->mailbox, l, fd, "mailbox");
  if (rc == 0) rc = wr_io_open(&w->bell, l, slot->bell_fd, "bell", on_bell);
  if (rc != 0) {
    wr_error_set(error, WR_ERROR_CLOSED, "cannot watch a descriptor: %s", uv_strerror(rc));
    return false;
  }
  wr_io_want(&w->bell, WR_IO_READ);
  l->on_turn = on_turn;
  l->on_turn_ctx = w;
  wr_timer_init(&w->beat, l, on_beat);
  start_beat(w);
  return true;
}

static int close_worker(struct wr_worker *w)
{
  wr_timer_stop(&w->beat);
  if (w->mailbox.is_open) wr_mailbox_close(&w->mailbox, NULL);
  wr_io_close(&w->bell, NULL);
  wr_server_abort(w->server);
  if (!w->is_leaving || w->is_retiring) wr_server_drain(w->server, NULL, NULL);
  wr_lineage_silence(&w->lineage); // or the loop would never run dry
  wr_telemetry_leave(&w->telemetry);
  wr_transport_rest(w->services.transport);
  wr_loop_run(&w->services.loop);
  wr_lineage_fini(&w->lineage);
  wr_telemetry_fini(&w->telemetry);
  wr_watchdog_stop(&w->watchdog);
  wr_server_free(w->server);
  wr_explain_fini(&w->explain);
  return wr_services_fini(&w->services) == 0 ? 0 : 70;
}

int wr_worker_run(struct wr_arena *a, uint32_t slot, const struct wr_settings *settings, int fd)
{
  struct wr_worker *w = wr_alloc(sizeof(*w));
  struct wr_error error = {0};
  w->arena = a;
  w->slot = slot;
  wr_lineage_init(&w->lineage, &w->serve);
  w->lineage.on_ready = on_ready;
  w->lineage.on_slice = on_slice;
  w->lineage.ctx = w;
  set_signals();
  if (!open_worker(w, settings, fd, &error) ||
      !wr_confine_child(&settings->confine, WR_FILTER_WORKER, &error)) {
    wr_log_text(&w->services.log, WR_LOG_ERROR, "worker.start", "%s", error.message);
    wr_log_flush(&w->services.log);
    return 70;
  }
  wr_slot_take(wr_slot_of(a, slot), (int32_t)getpid(), wr_loop_now(&w->services.loop));
  wr_loop_run(&w->services.loop);
  int rc = close_worker(w);
  wr_free(w);
  return rc;
}
