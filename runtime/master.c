#include "master.h"

#include "arena/loudness.h"
#include "arena/session_keys.h"
#include "base/alloc.h"
#include "base/check.h"
#include "console.h"
#include "demand.h"
#include "exports.h"
#include "fleet.h"
#include "follow.h"
#include "handover.h"
#include "heartbeat.h"
#include "http/server.h"
#include "inspect.h"
#include "observe/metrics.h"
#include "observe/pressure.h"
#include "probation.h"
#include "state.h"
#include "store/snapshot.h"
#include "upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define TICK_NS (100 * WR_MS)
#define SWEEP_NS (10 * WR_SECOND)
#define MEASURE_NS (500 * WR_MS)
#define KILL_AFTER_NS (2 * WR_SECOND) // from being told to stop to being killed
#define ADMIN_NS (500 * WR_MS)        // for the last answers of the admin listener

static const struct wr_demand_options plain = {0};

static struct wr_str nothing(void)
{
  return (struct wr_str){NULL, 0};
}

// --- stopping -----------------------------------------------------------------------------------

static void send_all(struct wr_master *m, enum wr_worker_message type)
{
  uint32_t at = 0;
  for (struct wr_master_worker *w; (w = wr_fleet_each(m, &at)) != NULL;) {
    wr_fleet_send(w, type, 0, nothing(), -1);
  }
}

static void kill_all(struct wr_master *m)
{
  uint32_t at = 0;
  for (struct wr_master_worker *w; (w = wr_fleet_each(m, &at)) != NULL;) {
    if (w->pid > 0) kill(w->pid, SIGKILL);
  }
}

static void on_drain_over(struct wr_timer *t)
{
  struct wr_master *m = WR_CONTAINER(t, struct wr_master, drain);
  if (m->is_over) {
    wr_admin_abort(m->admin);
    return;
  }
  if (m->is_stopping) {
    kill_all(m);
    return;
  }
  m->is_stopping = true;
  send_all(m, WR_WORKER_STOP);
  wr_timer_start(&m->drain, KILL_AFTER_NS);
}

// The workers close theirs: from then on connecting is refused instead of waiting for nobody.
static void close_listeners(struct wr_master *m)
{
  WR_LIST_EACH(&m->listeners, node) {
    wr_listener_close(WR_CONTAINER(node, struct wr_listener, link));
  }
}

// The first request to stop drains; another one stops now.
static void drain(struct wr_master *m)
{
  if (m->is_draining) {
    m->is_stopping = false;
    on_drain_over(&m->drain);
    return;
  }
  m->is_draining = true;
  wr_log_text(&m->log, WR_LOG_INFO, "drain", "finishing what is under way");
  wr_notify_stopping(&m->notify, "finishing what is under way");
  wr_trial_kill_all(m);
  wr_upgrade_stop(m);
  wr_demand_stop(m);
  wr_inspect_stop(m);
  wr_exports_flush(m);
  send_all(m, WR_WORKER_DRAIN);
  close_listeners(m);
  wr_timer_start(&m->drain, m->settings->drain_ns);
  wr_master_maybe_over(m);
}

void wr_master_stop(struct wr_master *m, int exit_code)
{
  m->exit_code = exit_code;
  m->is_draining = true;
  m->is_stopping = true;
  wr_notify_stopping(&m->notify, m->failure->message);
  send_all(m, WR_WORKER_STOP);
  wr_timer_start(&m->drain, KILL_AFTER_NS);
  wr_master_maybe_over(m);
}

static void on_admin_closed(void *ctx)
{
  struct wr_master *m = ctx;
  wr_loop_stop(&m->loop);
}

void wr_master_maybe_over(struct wr_master *m)
{
  uint32_t at = 0;
  for (struct wr_master_worker *w; (w = wr_fleet_each(m, &at)) != NULL;) {
    if (w->pid != 0 || w->is_closing) return;
  }
  if (!wr_list_is_empty(&m->trials) || m->upgrade.pid != 0 || m->is_over) return;
  m->is_over = true;
  wr_state_save(m);
  if (m->admin == NULL) { // a rehearsal
    wr_loop_stop(&m->loop);
    return;
  }
  wr_timer_start(&m->drain, ADMIN_NS);
  wr_admin_close(m->admin, on_admin_closed, m);
}

// --- signals and ticks --------------------------------------------------------------------------

static void on_signal(struct wr_io *io, int events)
{
  (void)events;
  struct wr_master *m = WR_CONTAINER(io, struct wr_master, signals);
  struct signalfd_siginfo info;
  while (read(io->fd, &info, sizeof(info)) == sizeof(info)) {
    switch (info.ssi_signo) {
    case SIGCHLD: wr_fleet_reap(m); break;
    case SIGHUP: wr_demand_load(m, NULL, &plain); break;
    case SIGUSR2: wr_upgrade_request(m, NULL); break;
    case SIGTERM:
    case SIGINT: drain(m); break;
    default: break;
    }
  }
  if (m->is_draining) wr_master_maybe_over(m);
}

static void sample(struct wr_master *m)
{
  uint32_t alive = 0;
  struct wr_master_worker *serving = wr_fleet_serving(m);
  for (uint32_t i = 0; i < m->settings->workers; i++) alive += serving[i].live != 0;
  uint32_t shard = wr_slot_master(&m->arena);
  wr_series_set(&m->arena, shard, wr_meter_series(&m->meter, WR_METRIC_WORKERS, NULL), alive);
  wr_series_set(&m->arena, shard,
                wr_meter_series(&m->meter, WR_METRIC_BUILD_INFO, "version", WEIR_VERSION, NULL), 1);
}

static void measure(struct wr_master *m)
{
  size_t count;
  pid_t *pids = wr_fleet_pids(m, &count);
  wr_pressure_measure(&m->arena, pids, count);
  wr_free(pids);
}

// What the clock demands of primitives. Its next time is on a timer of its own: a plan that moves
// again and again, as a limiter's does, must not put off the tick.
static void advance(struct wr_master *m)
{
  struct wr_guard_callbacks callbacks = wr_fleet_callbacks(m);
  uint64_t now = wr_loop_now(&m->loop);
  uint64_t next = wr_guard_advance(&m->registry, now, &callbacks);
  if (next < now + TICK_NS) {
    wr_timer_start_at(&m->plan, next);
  } else {
    wr_timer_stop(&m->plan); // a tick comes before
  }
}

static void on_plan(struct wr_timer *t)
{
  advance(WR_CONTAINER(t, struct wr_master, plan));
}

// A worker saw a transition coming sooner than planned.
static void on_bell(struct wr_io *io, int events)
{
  (void)events;
  struct wr_master *m = WR_CONTAINER(io, struct wr_master, bell);
  wr_slot_hush(&m->arena, wr_slot_master(&m->arena));
  advance(m);
}

static void renew_session_keys(struct wr_master *m, uint64_t now)
{
  struct wr_session_keys *keys = wr_session_keys_of(&m->arena);
  wr_session_keys_renew(keys, now, m->settings->session_keys_ns, wr_loop_entropy);
}

static void on_tick(struct wr_timer *t)
{
  struct wr_master *m = WR_CONTAINER(t, struct wr_master, tick);
  uint64_t now = wr_loop_now(&m->loop);
  wr_guard_health_spread(&m->registry, now);
  advance(m);
  bool is_late = now - m->ticked_ns > 2 * TICK_NS;
  uint64_t next = now + TICK_NS;
  uint64_t due = is_late || m->is_draining ? UINT64_MAX : wr_heartbeat_check(m, now);
  if (due < next) next = due;
  m->ticked_ns = now;
  if (now - m->swept_ns >= SWEEP_NS) {
    m->swept_ns = now;
    wr_registry_sweep(&m->registry, now);
  }
  renew_session_keys(m, now);
  if (now - m->measured_ns >= MEASURE_NS) {
    m->measured_ns = now;
    measure(m);
  }
  sample(m);
  wr_traffic_tick(&m->traffic, now);
  wr_episodes_tick(&m->episodes, now);
  m->log.level = wr_loudness_level(&m->arena, m->settings->log_level);
  wr_probation_tick(m);
  wr_timer_start_at(t, next);
}

static void on_turn(struct wr_loop *l, void *ctx)
{
  struct wr_master *m = ctx;
  wr_slot_beat(wr_slot_of(&m->arena, wr_slot_master(&m->arena)), wr_loop_now(l));
  wr_log_flush(&m->log);
}

// --- life ---------------------------------------------------------------------------------------

static bool open_signals(struct wr_master *m)
{
  sigset_t set;
  sigemptyset(&set);
  static const int wanted[] = {SIGCHLD, SIGHUP, SIGTERM, SIGINT, SIGUSR2};
  for (size_t i = 0; i < WR_COUNT(wanted); i++) sigaddset(&set, wanted[i]);
  signal(SIGPIPE, SIG_IGN);
  sigprocmask(SIG_BLOCK, &set, NULL);
  m->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  if (m->signal_fd < 0) return false;
  if (wr_io_open(&m->signals, &m->loop, m->signal_fd, "signals", on_signal) != 0) return false;
  wr_io_want(&m->signals, WR_IO_READ);
  struct wr_slot *slot = wr_slot_of(&m->arena, wr_slot_master(&m->arena));
  if (wr_io_open(&m->bell, &m->loop, slot->bell_fd, "bell", on_bell) != 0) return false;
  wr_io_want(&m->bell, WR_IO_READ);
  return true;
}

// Two descriptors a client: what cannot be had is told before it is missed.
static void warn_descriptors(struct wr_master *m)
{
  const struct wr_settings *settings = m->settings;
  size_t wanted = wr_server_options_default.connections_max;
  if (settings->connections >= wanted) return;
  wr_log_text(&m->log, WR_LOG_WARN, "descriptors",
              "a process may open %llu descriptors, so a worker serves %u clients at once and not "
              "%zu: raise `ulimit -Hn` (LimitNOFILE=) to %zu",
              (unsigned long long)settings->descriptors, settings->connections, wanted, 2 * wanted);
}

static bool open_master(struct wr_master *m, struct wr_error *error)
{
  if (!wr_state_open_arena(m, error)) return false;
  renew_session_keys(m, wr_loop_clock());
  if (wr_loop_init(&m->loop) != 0 || !open_signals(m)) {
    wr_error_set(error, WR_ERROR_CLOSED, "no event loop: %s", strerror(errno));
    return false;
  }
  wr_log_init(&m->log, STDOUT_FILENO, m->settings->log_level, wr_loop_wall);
  m->log.format = m->settings->log_format;
  wr_log_tap_open(&m->log_tap, &m->log, &m->arena, wr_slot_master(&m->arena), &m->loop);
  warn_descriptors(m);
  wr_state_tell(m);
  m->arena.on_wait = wr_heartbeat_on_wait;
  m->arena.on_wait_ctx = m;
  wr_guard_registry(&m->registry, &m->arena);
  wr_meter_init(&m->meter, &m->arena, wr_slot_master(&m->arena),
                (struct wr_hash_key){wr_loop_entropy(), wr_loop_entropy()});
  wr_metrics_begin(&m->arena);
  wr_list_init(&m->listeners);
  m->bundle = -1;
  wr_history_init(&m->history);
  wr_list_init(&m->trials);
  wr_demand_init(m);
  wr_inspect_init(m);
  m->started_ns = wr_loop_now(&m->loop);
  m->started_wall_ns = wr_loop_wall();
  wr_timer_init(&m->tick, &m->loop, on_tick);
  wr_timer_init(&m->plan, &m->loop, on_plan);
  wr_timer_init(&m->drain, &m->loop, on_drain_over);
  wr_follow_init(m);
  wr_traffic_init(&m->traffic, &m->arena);
  wr_episodes_init(&m->episodes, &m->registry, &m->log);
  m->loop.on_turn = on_turn;
  m->loop.on_turn_ctx = m;
  wr_notify_open(&m->notify, &m->settings->notify, &m->loop, &m->log);
  wr_upgrade_init(m);
  if (m->upgrade.is_rehearsal) return true;
  wr_exports_init(m);
  if (!wr_console_open(m, error)) return false;
  wr_upgrade_resume(m);
  return true;
}

static void close_master(struct wr_master *m)
{
  wr_timer_stop(&m->tick);
  wr_timer_stop(&m->plan);
  wr_timer_stop(&m->drain);
  wr_follow_stop(m);
  wr_traffic_fini(&m->traffic);
  wr_episodes_fini(&m->episodes);
  wr_exports_fini(m);
  wr_notify_close(&m->notify);
  wr_io_close(&m->signals, NULL);
  wr_io_close(&m->bell, NULL);
  close(m->signal_fd);
  wr_loop_run(&m->loop);
  if (m->admin) wr_admin_free(m->admin);
  close_listeners(m);
  if (m->admin_listener) {
    close(m->admin_fd);
    wr_listener_close(m->admin_listener);
  }
  wr_meter_fini(&m->meter);
  char names[256];
  if (wr_loop_fini(&m->loop, names, sizeof(names)) > 0) {
    wr_log_text(&m->log, WR_LOG_ERROR, "loop.leak", "left open: %s", names);
  }
  wr_log_fini(&m->log);
  if (m->bundle >= 0) close(m->bundle);
  wr_history_fini(&m->history);
  wr_snapshot_free(m->snapshot);
  wr_free(m->workers);
  wr_free(m->leaving);
  wr_arena_fini(&m->arena);
}

int wr_master_run(const struct wr_settings *settings, struct wr_error *error)
{
  struct wr_master *m = wr_alloc(sizeof(*m));
  m->settings = settings;
  m->failure = error;
  // On failure the process ends: what was opened ends with it.
  if (!open_master(m, error)) return 69;
  wr_timer_start(&m->tick, TICK_NS);
  if (m->upgrade.stage != WR_UPGRADE_NONE || m->live == 0) wr_demand_begin(m);
  wr_loop_run(&m->loop);
  close_master(m);
  int exit_code = m->exit_code;
  wr_free(m);
  return exit_code;
}
