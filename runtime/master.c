#include "master.h"

#include "base/alloc.h"
#include "base/check.h"
#include "observe/events.h"
#include "observe/metrics.h"
#include "reload.h"
#include "status.h"

#include <errno.h>
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
#define WATCH_QUIET_NS (200 * WR_MS)
#define QUICK_NS WR_SECOND              // a worker that dies sooner after its fork died at once
#define KILL_AFTER_NS (2 * WR_SECOND)   // from being told to stop to being killed
#define ADMIN_NS (500 * WR_MS)          // for the last answers of the admin listener
enum { QUICK_DEATHS_MAX = 3 };

static struct wr_str nothing(void)
{
  return (struct wr_str){NULL, 0};
}

// --- children -----------------------------------------------------------------------------------

static int by_number(const void *a, const void *b)
{
  return *(const int *)a - *(const int *)b;
}

// A child keeps its end of the mailbox, the arena and the bells; all else is the master's.
static void close_foreign(struct wr_master *m, int mailbox)
{
  uint32_t slots = m->arena.header->slot_count;
  int *keep = wr_alloc((slots + 2) * sizeof(int));
  size_t count = 0;
  keep[count++] = mailbox;
  keep[count++] = m->arena.fd;
  for (uint32_t i = 0; i < slots; i++) keep[count++] = wr_slot_of(&m->arena, i)->bell_fd;
  qsort(keep, count, sizeof(int), by_number);
  unsigned from = STDERR_FILENO + 1;
  for (size_t i = 0; i < count; i++) {
    if ((unsigned)keep[i] > from) close_range(from, (unsigned)keep[i] - 1, 0);
    if ((unsigned)keep[i] >= from) from = (unsigned)keep[i] + 1;
  }
  close_range(from, ~0U, 0);
  wr_free(keep);
}

pid_t wr_master_fork_process(struct wr_master *m, const int pair[2])
{
  wr_log_flush(&m->log);
  fflush(NULL);
  pid_t pid = fork();
  if (pid != 0) return pid;
  struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  close_foreign(m, pair[1]);
  sigset_t empty;
  sigemptyset(&empty);
  sigprocmask(SIG_SETMASK, &empty, NULL);
  return 0;
}

void wr_master_send(struct wr_master_worker *w, enum wr_worker_message type, uint64_t number,
                    struct wr_str payload, int fd)
{
  struct wr_message head = {.type = type, .size = (uint32_t)payload.len, .number = number};
  if (w->pid > 0 && w->mailbox.is_open) wr_mailbox_send(&w->mailbox, &head, payload.ptr, fd);
}

// A worker accepts once it has something to answer with.
static void send_listeners(struct wr_master_worker *w)
{
  if (w->is_listening) return;
  w->is_listening = true;
  WR_LIST_EACH(&w->master->listeners, node) {
    struct wr_listener *l = WR_CONTAINER(node, struct wr_listener, link);
    wr_master_send(w, WR_WORKER_LISTEN, 0, wr_str_of(l->address), l->fds[w->slot]);
  }
}

static void on_worker_message(struct wr_mailbox *mailbox, const struct wr_message *head,
                              const void *payload, int fd)
{
  struct wr_master_worker *w = WR_CONTAINER(mailbox, struct wr_master_worker, mailbox);
  if (fd >= 0) close(fd);
  switch ((enum wr_worker_message)head->type) {
  case WR_WORKER_PREPARED:
    if (head->number == w->master->live) {
      wr_master_send(w, WR_WORKER_COMMIT, head->number, nothing(), -1);
    } else {
      wr_reload_on_prepared(w, head->number);
    }
    break;
  case WR_WORKER_FAILED: {
    struct wr_worker_failure failure;
    if (head->size != sizeof(failure)) break;
    memcpy(&failure, payload, sizeof(failure));
    wr_reload_on_failed(w, head->number, &failure);
    break;
  }
  case WR_WORKER_LIVE:
    send_listeners(w);
    wr_reload_on_live(w, head->number);
    break;
  default: break;
  }
}

// The worker is dying: its end is told by SIGCHLD.
static void on_worker_hangup(struct wr_mailbox *mailbox)
{
  wr_io_want(&mailbox->io, 0);
}

static void hand_over(struct wr_master_worker *w)
{
  struct wr_master *m = w->master;
  if (m->live != 0) wr_master_send(w, WR_WORKER_PREPARE, m->live, nothing(), m->bundle);
  wr_reload_on_fork(w);
}

void wr_master_fork(struct wr_master_worker *w)
{
  struct wr_master *m = w->master;
  int pair[2];
  w->pid = -1;
  if (wr_mailbox_pair(pair) == 0) {
    w->pid = wr_master_fork_process(m, pair);
    if (w->pid == 0) _exit(wr_worker_run(&m->arena, w->slot, m->settings, pair[1]));
    close(pair[1]);
    if (w->pid < 0) close(pair[0]);
  }
  if (w->pid < 0) {
    w->pid = 0;
    wr_log_text(&m->log, WR_LOG_ERROR, "worker.fork", "cannot start worker %u: %s", w->slot,
                strerror(errno));
    wr_timer_start(&w->refork, WR_SECOND);
    return;
  }
  w->live = 0;
  w->prepared = 0;
  w->is_listening = false;
  w->is_aborted = false;
  w->forked_ns = wr_loop_now(&m->loop);
  w->mailbox.on_message = on_worker_message;
  w->mailbox.on_hangup = on_worker_hangup;
  WR_CHECK(wr_mailbox_open(&w->mailbox, &m->loop, pair[0], "worker") == 0);
  hand_over(w);
}

static void on_refork(struct wr_timer *t)
{
  struct wr_master_worker *w = WR_CONTAINER(t, struct wr_master_worker, refork);
  if (w->master->is_draining || w->is_closing || w->pid != 0) return;
  wr_master_fork(w);
}

static void maybe_over(struct wr_master *m);

// Its mailbox is closed: the slot may be used again.
static void on_worker_closed(struct wr_io *io)
{
  struct wr_mailbox *mailbox = WR_CONTAINER(io, struct wr_mailbox, io);
  struct wr_master_worker *w = WR_CONTAINER(mailbox, struct wr_master_worker, mailbox);
  w->is_closing = false;
  if (w->master->is_draining) {
    maybe_over(w->master);
  } else if (!wr_timer_is_running(&w->refork)) {
    wr_master_fork(w);
  }
}

static void on_breaker_event(void *ctx, struct wr_entry *entry,
                             const struct wr_breaker_event *event)
{
  struct wr_master *m = ctx;
  wr_events_breaker(&m->log, &m->meter, entry, event);
}

static struct wr_guard_callbacks callbacks_of(struct wr_master *m)
{
  return (struct wr_guard_callbacks){.on_event = on_breaker_event, .ctx = m};
}

static void log_death(struct wr_master_worker *w, int status, uint32_t settled)
{
  struct wr_master *m = w->master;
  struct wr_json *j = wr_log_begin(&m->log, m->is_draining ? WR_LOG_INFO : WR_LOG_ERROR,
                                   "worker.exit");
  if (j == NULL) return;
  struct wr_slot *slot = wr_slot_of(&m->arena, w->slot);
  wr_json_field_uint(j, "slot", w->slot);
  wr_json_field_uint(j, "pid", (uint64_t)w->pid);
  if (WIFSIGNALED(status)) {
    wr_json_field_cstr(j, "signal", strsignal(WTERMSIG(status)));
  } else {
    wr_json_field_uint(j, "exit", (uint64_t)WEXITSTATUS(status));
  }
  wr_json_field_uint(j, "settled_tickets", settled);
  wr_json_field_cstr(j, "request", slot->request);
  wr_json_field_cstr(j, "route", slot->route);
  wr_log_end(&m->log);
}

static void bury_worker(struct wr_master_worker *w, int status)
{
  struct wr_master *m = w->master;
  uint64_t now = wr_loop_now(&m->loop);
  struct wr_guard_callbacks callbacks = callbacks_of(m);
  uint32_t settled = wr_guard_settle_dead(&m->registry, w->slot, now, &callbacks);
  wr_registry_wipe(&m->registry, w->slot);
  wr_series_forget(&m->arena, w->slot);
  log_death(w, status, settled);
  wr_slot_leave(wr_slot_of(&m->arena, w->slot), m->is_draining);
  w->pid = 0;
  w->live = 0;
  w->prepared = 0;
  w->is_closing = true;
  wr_meter_add(&m->meter, WR_METRIC_TICKETS_SETTLED, settled, NULL);
  if (!m->is_draining) {
    const char *reason = WIFSIGNALED(status) ? "signal" : "exit";
    wr_meter_add(&m->meter, WR_METRIC_WORKER_RESTARTS, 1, "reason", reason, NULL);
    w->quick_deaths = now - w->forked_ns < QUICK_NS ? w->quick_deaths + 1 : 0;
    // What dies at once again and again is not worth a busy loop of forks.
    if (w->quick_deaths > QUICK_DEATHS_MAX) wr_timer_start(&w->refork, WR_SECOND);
  }
  wr_mailbox_close(&w->mailbox, on_worker_closed);
}

static void reap(struct wr_master *m)
{
  int status = 0;
  pid_t pid;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
    wr_reload_on_exit(m, pid, status);
    for (uint32_t i = 0; i < m->settings->workers; i++) {
      if (m->workers[i].pid == pid) bury_worker(&m->workers[i], status);
    }
  }
}

// --- stopping -----------------------------------------------------------------------------------

static void send_all(struct wr_master *m, enum wr_worker_message type)
{
  for (uint32_t i = 0; i < m->settings->workers; i++) {
    wr_master_send(&m->workers[i], type, 0, nothing(), -1);
  }
}

static void kill_all(struct wr_master *m)
{
  for (uint32_t i = 0; i < m->settings->workers; i++) {
    if (m->workers[i].pid > 0) kill(m->workers[i].pid, SIGKILL);
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
  wr_reload_stop(m);
  send_all(m, WR_WORKER_DRAIN);
  close_listeners(m);
  wr_timer_start(&m->drain, m->settings->drain_ns);
  maybe_over(m);
}

void wr_master_stop(struct wr_master *m, int exit_code)
{
  m->exit_code = exit_code;
  m->is_draining = true;
  m->is_stopping = true;
  send_all(m, WR_WORKER_STOP);
  wr_timer_start(&m->drain, KILL_AFTER_NS);
  maybe_over(m);
}

static void on_admin_closed(void *ctx)
{
  struct wr_master *m = ctx;
  wr_loop_stop(&m->loop);
}

static void maybe_over(struct wr_master *m)
{
  for (uint32_t i = 0; i < m->settings->workers; i++) {
    if (m->workers[i].pid != 0 || m->workers[i].is_closing) return;
  }
  if (m->reload.trial || m->is_over) return;
  m->is_over = true;
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
    case SIGCHLD: reap(m); break;
    case SIGHUP: wr_reload_request(m, NULL); break;
    case SIGTERM:
    case SIGINT: drain(m); break;
    default: break;
    }
  }
  if (m->is_draining) maybe_over(m);
}

// A worker whose loop does not turn is replaced. Our own lateness is not held against it.
static void check_heartbeats(struct wr_master *m, uint64_t now)
{
  for (uint32_t i = 0; i < m->settings->workers; i++) {
    struct wr_master_worker *w = &m->workers[i];
    uint64_t beat = atomic_load_explicit(&wr_slot_of(&m->arena, i)->heartbeat_ns,
                                         memory_order_relaxed);
    if (w->pid <= 0 || w->live == 0 || beat < w->forked_ns) continue;
    if (now < beat || now - beat < m->settings->heartbeat_ns) continue;
    // A stopped process takes no signal but this one.
    if (w->is_aborted) kill(w->pid, SIGKILL);
    if (w->is_aborted) continue;
    wr_log_text(&m->log, WR_LOG_ERROR, "worker.stuck", "worker %u has not turned for %llu ms", i,
                (unsigned long long)((now - beat) / WR_MS));
    w->is_aborted = true;
    kill(w->pid, SIGABRT);
  }
}

static void sample(struct wr_master *m)
{
  uint32_t alive = 0;
  for (uint32_t i = 0; i < m->settings->workers; i++) alive += m->workers[i].live != 0;
  uint32_t shard = wr_slot_master(&m->arena);
  wr_series_set(&m->arena, shard, wr_meter_series(&m->meter, WR_METRIC_WORKERS, NULL), alive);
  wr_series_set(&m->arena, shard,
                wr_meter_series(&m->meter, WR_METRIC_BUILD_INFO, "version", WEIR_VERSION, NULL), 1);
}

// A worker saw a transition coming sooner than planned.
static void on_bell(struct wr_io *io, int events)
{
  (void)events;
  struct wr_master *m = WR_CONTAINER(io, struct wr_master, bell);
  struct wr_guard_callbacks callbacks = callbacks_of(m);
  uint64_t now = wr_loop_now(&m->loop);
  wr_slot_hush(&m->arena, wr_slot_master(&m->arena));
  uint64_t next = wr_guard_advance(&m->registry, now, &callbacks);
  if (next < now + TICK_NS) wr_timer_start_at(&m->tick, next);
}

static void on_tick(struct wr_timer *t)
{
  struct wr_master *m = WR_CONTAINER(t, struct wr_master, tick);
  uint64_t now = wr_loop_now(&m->loop);
  struct wr_guard_callbacks callbacks = callbacks_of(m);
  uint64_t next = wr_guard_advance(&m->registry, now, &callbacks);
  bool is_late = now - m->ticked_ns > 2 * TICK_NS;
  if (!is_late && !m->is_draining) check_heartbeats(m, now);
  m->ticked_ns = now;
  if (now - m->swept_ns >= SWEEP_NS) {
    m->swept_ns = now;
    wr_registry_sweep(&m->registry, now);
  }
  sample(m);
  wr_timer_start_at(t, next < now + TICK_NS ? next : now + TICK_NS);
}

static void on_turn(struct wr_loop *l, void *ctx)
{
  struct wr_master *m = ctx;
  wr_slot_beat(wr_slot_of(&m->arena, wr_slot_master(&m->arena)), wr_loop_now(l));
  wr_log_flush(&m->log);
}

// --- admin --------------------------------------------------------------------------------------

static bool is_ready(void *ctx)
{
  struct wr_master *m = ctx;
  if (m->is_draining || m->live == 0) return false;
  for (uint32_t i = 0; i < m->settings->workers; i++) {
    if (m->workers[i].live != 0) return true;
  }
  return false;
}

static bool write_metrics(void *ctx, struct wr_buf *out)
{
  struct wr_master *m = ctx;
  return wr_metrics_write(&m->registry, wr_loop_now(&m->loop), out);
}

static void write_status(void *ctx, struct wr_json *j)
{
  struct wr_master *m = ctx;
  wr_status_write(m, is_ready(m), j);
}

static void on_reload(void *ctx, struct wr_admin_waiter *waiter)
{
  wr_reload_request(ctx, waiter);
}

static void on_file_change(struct wr_watch *w)
{
  wr_reload_request(WR_CONTAINER(w, struct wr_master, watch), NULL);
}

// --- life ---------------------------------------------------------------------------------------

static bool open_admin(struct wr_master *m, struct wr_error *error)
{
  const char *address = m->settings->admin;
  bool is_tcp = address[0] != '/' && strncmp(address, "unix:", 5) != 0;
  bool is_loopback = strncmp(address, "127.", 4) == 0 || strncmp(address, "[::1]", 5) == 0;
  if (is_tcp && !is_loopback) {
    wr_error_set(error, WR_ERROR_INVALID, "the admin address %s is not a loopback one: use "
                 "127.0.0.1:PORT, [::1]:PORT or a socket path", address);
    return false;
  }
  int fd = wr_listener_bind(address, false, error);
  if (fd < 0) return false;
  struct wr_admin_ops ops = {is_ready, write_metrics, write_status, on_reload, m};
  m->admin = wr_admin_new(&m->loop, fd, is_tcp, &ops);
  return true;
}

static bool open_signals(struct wr_master *m)
{
  sigset_t set;
  sigemptyset(&set);
  static const int wanted[] = {SIGCHLD, SIGHUP, SIGTERM, SIGINT};
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

static void init_workers(struct wr_master *m)
{
  m->workers = wr_alloc(m->settings->workers * sizeof(*m->workers));
  for (uint32_t i = 0; i < m->settings->workers; i++) {
    m->workers[i].master = m;
    m->workers[i].slot = i;
    wr_timer_init(&m->workers[i].refork, &m->loop, on_refork);
  }
}

static bool open_master(struct wr_master *m, struct wr_error *error)
{
  struct wr_arena_options options = {.size = m->settings->arena_bytes,
                                     .worker_count = m->settings->workers,
                                     .seed = wr_loop_entropy()};
  if (!wr_arena_open(&m->arena, &options, error)) return false;
  if (wr_loop_init(&m->loop) != 0 || !open_signals(m)) {
    wr_error_set(error, WR_ERROR_CLOSED, "no event loop: %s", strerror(errno));
    return false;
  }
  wr_log_init(&m->log, STDOUT_FILENO, m->settings->log_level, wr_loop_wall);
  wr_guard_registry(&m->registry, &m->arena);
  wr_meter_init(&m->meter, &m->arena, wr_slot_master(&m->arena),
                (struct wr_hash_key){wr_loop_entropy(), wr_loop_entropy()});
  wr_list_init(&m->listeners);
  wr_list_init(&m->reload.callers);
  wr_list_init(&m->reload.next);
  m->bundle = -1;
  m->reload.bundle = -1;
  m->started_ns = wr_loop_now(&m->loop);
  init_workers(m);
  wr_timer_init(&m->tick, &m->loop, on_tick);
  wr_timer_init(&m->drain, &m->loop, on_drain_over);
  wr_watch_init(&m->watch, &m->loop, WATCH_QUIET_NS, on_file_change);
  m->loop.on_turn = on_turn;
  m->loop.on_turn_ctx = m;
  return open_admin(m, error);
}

static void close_master(struct wr_master *m)
{
  wr_timer_stop(&m->tick);
  wr_timer_stop(&m->drain);
  wr_watch_clear(&m->watch);
  wr_io_close(&m->signals, NULL);
  wr_io_close(&m->bell, NULL);
  close(m->signal_fd);
  wr_loop_run(&m->loop);
  wr_admin_free(m->admin);
  close_listeners(m);
  const char *admin = m->settings->admin;
  if (admin[0] == '/') unlink(admin);
  if (strncmp(admin, "unix:", 5) == 0) unlink(admin + 5);
  wr_meter_fini(&m->meter);
  char names[256];
  if (wr_loop_fini(&m->loop, names, sizeof(names)) > 0) {
    wr_log_text(&m->log, WR_LOG_ERROR, "loop.leak", "left open: %s", names);
  }
  wr_log_fini(&m->log);
  if (m->bundle >= 0) close(m->bundle);
  wr_free(m->workers);
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
  wr_reload_request(m, NULL);
  wr_loop_run(&m->loop);
  close_master(m);
  int exit_code = m->exit_code;
  wr_free(m);
  return exit_code;
}
