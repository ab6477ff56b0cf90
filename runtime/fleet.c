#include "fleet.h"

#include "arena/clients.h"
#include "base/alloc.h"
#include "base/check.h"
#include "observe/events.h"
#include "reload.h"
#include "strike.h"
#include "trial.h"
#include "upgrade.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define QUICK_NS WR_SECOND // a worker that dies sooner after its fork died at once
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

pid_t wr_fleet_fork_process(struct wr_master *m, const int pair[2])
{
  wr_log_flush(&m->log);
  fflush(NULL);
  pid_t pid = fork();
  if (pid != 0) return pid;
  m->arena.on_wait = NULL; // it is ours to end workers
  close_foreign(m, pair[1]);
  sigset_t empty;
  sigemptyset(&empty);
  sigprocmask(SIG_SETMASK, &empty, NULL);
  return 0;
}

void wr_fleet_send(struct wr_master_worker *w, enum wr_worker_message type, uint64_t number,
                   struct wr_str payload, int fd)
{
  struct wr_message head = {.type = type, .size = (uint32_t)payload.len, .number = number};
  if (w->pid > 0 && w->mailbox.is_open) wr_mailbox_send(&w->mailbox, &head, payload.ptr, fd);
}

// What it was serving when it died, as far as our arena tells.
static uint32_t lost_requests(const struct wr_master_worker *w)
{
  const struct wr_slot *slot = wr_slot_of(&w->master->arena, w->slot);
  if (w->is_leaving && w->master->upgrade.is_foreign) return 0;
  return atomic_load_explicit(&slot->in_flight, memory_order_relaxed);
}

// Nobody comes after it.
static bool is_last(const struct wr_master_worker *w)
{
  return w->master->is_draining || w->is_leaving;
}

static void log_death(struct wr_master_worker *w, int status, uint32_t settled)
{
  struct wr_master *m = w->master;
  struct wr_json *j = wr_log_begin(&m->log, is_last(w) ? WR_LOG_INFO : WR_LOG_ERROR, "worker.exit");
  if (j == NULL) return;
  wr_json_field_uint(j, "slot", w->slot);
  wr_json_field_uint(j, "pid", (uint64_t)w->pid);
  if (WIFSIGNALED(status)) {
    wr_json_field_cstr(j, "signal", strsignal(WTERMSIG(status)));
  } else {
    wr_json_field_uint(j, "exit", (uint64_t)WEXITSTATUS(status));
  }
  wr_json_field_uint(j, "settled_tickets", settled);
  wr_json_field_uint(j, "lost_requests", lost_requests(w));
  wr_strike_describe(w, j);
  wr_log_end(&m->log);
}

// Its successor serves.
static void log_successor(struct wr_master_worker *w)
{
  struct wr_master *m = w->master;
  uint64_t died_ns = w->died_ns;
  w->died_ns = 0;
  struct wr_json *j = died_ns ? wr_log_begin(&m->log, WR_LOG_INFO, "worker.replaced") : NULL;
  if (j == NULL) return;
  uint64_t now = wr_loop_now(&m->loop);
  wr_json_field_uint(j, "slot", w->slot);
  wr_json_field_uint(j, "pid", (uint64_t)w->pid);
  wr_json_field_num(j, "forked_after_ms", floor((double)(w->forked_ns - died_ns) / 1e3) / 1e3);
  wr_json_field_num(j, "live_after_ms", floor((double)(now - died_ns) / 1e3) / 1e3);
  wr_log_end(&m->log);
}

// A worker accepts once it has something to answer with.
static void send_listeners(struct wr_master_worker *w)
{
  if (w->is_listening) return;
  w->is_listening = true;
  WR_LIST_EACH(&w->master->listeners, node) {
    struct wr_listener *l = WR_CONTAINER(node, struct wr_listener, link);
    wr_fleet_send(w, WR_WORKER_LISTEN, 0, wr_str_of(l->address), l->fds[w - w->master->workers]);
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
      wr_fleet_send(w, WR_WORKER_COMMIT, head->number, nothing(), -1);
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
    log_successor(w);
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
  bool has_live = m->live != 0 && m->upgrade.stage != WR_UPGRADE_RENEWAL;
  if (has_live) wr_fleet_send(w, WR_WORKER_PREPARE, m->live, nothing(), m->bundle);
  wr_reload_on_fork(w);
}

// Only in the build that counts for a release (scripts/build).
extern void __gcov_dump(void) __attribute__((weak));

static _Noreturn void be_worker(struct wr_master *m, uint32_t slot, int fd)
{
  int code = wr_worker_run(&m->arena, slot, m->settings, fd);
  if (__gcov_dump != NULL) __gcov_dump();
  _exit(code);
}

static void open_mailbox(struct wr_master_worker *w, int fd)
{
  w->mailbox.on_message = on_worker_message;
  w->mailbox.on_hangup = on_worker_hangup;
  WR_CHECK(wr_mailbox_open(&w->mailbox, &w->master->loop, fd, "worker") == 0);
}

void wr_fleet_fork(struct wr_master_worker *w)
{
  struct wr_master *m = w->master;
  int pair[2];
  w->pid = -1;
  if (wr_mailbox_pair(pair) == 0) {
    w->pid = wr_fleet_fork_process(m, pair);
    if (w->pid == 0) be_worker(m, w->slot, pair[1]);
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
  w->late_cpu_s = -1;
  w->forked_ns = wr_loop_now(&m->loop);
  open_mailbox(w, pair[0]);
  hand_over(w);
}

static void on_refork(struct wr_timer *t)
{
  struct wr_master_worker *w = WR_CONTAINER(t, struct wr_master_worker, refork);
  if (w->master->is_draining || w->is_closing || w->pid != 0) return;
  wr_fleet_fork(w);
}

// Its mailbox is closed: the slot may be used again.
static void on_worker_closed(struct wr_io *io)
{
  struct wr_mailbox *mailbox = WR_CONTAINER(io, struct wr_mailbox, io);
  struct wr_master_worker *w = WR_CONTAINER(mailbox, struct wr_master_worker, mailbox);
  struct wr_master *m = w->master;
  w->is_closing = false;
  if (w->is_leaving) {
    wr_upgrade_on_left(m); // frees them all with the last
  } else if (m->is_draining) {
    wr_master_maybe_over(m);
  } else if (!wr_timer_is_running(&w->refork)) {
    wr_fleet_fork(w);
  }
}

static void on_primitive_event(void *ctx, struct wr_entry *entry, const union wr_guard_event *event)
{
  struct wr_master *m = ctx;
  wr_events_primitive(&m->log, &m->meter, entry, event);
}

struct wr_guard_callbacks wr_fleet_callbacks(struct wr_master *m)
{
  return (struct wr_guard_callbacks){.on_event = on_primitive_event, .ctx = m};
}

uint32_t wr_fleet_settle(struct wr_master_worker *w)
{
  struct wr_master *m = w->master;
  if (w->is_leaving && m->upgrade.is_foreign) return 0; // nobody's any more
  struct wr_guard_callbacks callbacks = wr_fleet_callbacks(m);
  uint32_t settled = wr_guard_settle_dead(&m->registry, w->slot, wr_loop_now(&m->loop), &callbacks);
  wr_registry_wipe(&m->registry, w->slot);
  wr_series_forget(&m->arena, w->slot);
  wr_clients_wipe(&m->arena, w->slot);
  return settled;
}

// What dies at once again and again is not worth a busy loop of forks.
static void plan_successor(struct wr_master_worker *w, int status)
{
  struct wr_master *m = w->master;
  uint64_t now = wr_loop_now(&m->loop);
  w->died_ns = now;
  const char *reason = WIFSIGNALED(status) ? "signal" : "exit";
  wr_meter_add(&m->meter, WR_METRIC_WORKER_RESTARTS, 1, "reason", reason, NULL);
  w->quick_deaths = now - w->forked_ns < QUICK_NS ? w->quick_deaths + 1 : 0;
  if (w->quick_deaths > QUICK_DEATHS_MAX) wr_timer_start(&w->refork, WR_SECOND);
}

static void bury_worker(struct wr_master_worker *w, int status)
{
  struct wr_master *m = w->master;
  uint32_t settled = wr_fleet_settle(w);
  log_death(w, status, settled);
  wr_meter_add(&m->meter, WR_METRIC_REQUESTS_LOST, lost_requests(w), NULL);
  if (WIFSIGNALED(status) && !w->is_leaving) wr_strike_on_death(w);
  bool has_slot = !w->is_leaving || !m->upgrade.is_foreign;
  if (has_slot) wr_exports_bury(m, w->slot);
  if (has_slot) wr_slot_leave(wr_slot_of(&m->arena, w->slot), is_last(w));
  w->pid = 0;
  w->live = 0;
  w->prepared = 0;
  w->is_closing = true;
  wr_meter_add(&m->meter, WR_METRIC_TICKETS_SETTLED, settled, NULL);
  if (!is_last(w)) plan_successor(w, status);
  wr_mailbox_close(&w->mailbox, on_worker_closed);
}

struct wr_master_worker *wr_fleet_each(struct wr_master *m, uint32_t *at)
{
  uint32_t workers = m->settings->workers;
  uint32_t i = (*at)++;
  if (m->workers == NULL) return NULL; // a lock is waited for at the very start
  if (i < workers) return &m->workers[i];
  return m->leaving != NULL && i < 2 * workers ? &m->leaving[i - workers] : NULL;
}

pid_t *wr_fleet_pids(struct wr_master *m, size_t *count)
{
  pid_t *pids = wr_alloc(2 * m->settings->workers * sizeof(*pids));
  uint32_t at = 0;
  *count = 0;
  for (struct wr_master_worker *w; (w = wr_fleet_each(m, &at)) != NULL;) pids[(*count)++] = w->pid;
  return pids;
}

struct wr_master_worker *wr_fleet_serving(const struct wr_master *m)
{
  return m->upgrade.stage == WR_UPGRADE_RENEWAL ? m->leaving : m->workers;
}

void wr_fleet_reap(struct wr_master *m)
{
  int status = 0;
  pid_t pid;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
    wr_trial_on_exit(m, pid, status);
    wr_upgrade_on_exit(m, pid, status);
    uint32_t at = 0;
    for (struct wr_master_worker *w; (w = wr_fleet_each(m, &at)) != NULL;) {
      if (w->pid == pid) bury_worker(w, status);
    }
  }
}

struct wr_master_worker *wr_fleet_new(struct wr_master *m, uint32_t first_slot)
{
  struct wr_master_worker *workers = wr_alloc(m->settings->workers * sizeof(*workers));
  for (uint32_t i = 0; i < m->settings->workers; i++) {
    workers[i].master = m;
    workers[i].slot = first_slot + i;
    wr_timer_init(&workers[i].refork, &m->loop, on_refork);
  }
  return workers;
}

void wr_fleet_adopt(struct wr_master_worker *w, pid_t pid, int mailbox, uint64_t live)
{
  w->pid = pid;
  w->live = live;
  w->is_listening = true;
  w->late_cpu_s = -1;
  w->forked_ns = wr_loop_now(&w->master->loop);
  open_mailbox(w, mailbox);
}
