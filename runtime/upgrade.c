#include "upgrade.h"

#include "arena/slot.h"
#include "base/alloc.h"
#include "base/check.h"
#include "demand.h"
#include "fleet.h"
#include "handover.h"
#include "rehearsal.h"
#include "reload.h"
#include "succession.h"
#include "upgrade_verdict.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_NS (10 * WR_MS)   // between two looks at what is still being answered
#define GOING_NS (500 * WR_MS) // longest wait for it
#define KILL_AFTER_NS (2 * WR_SECOND)

bool wr_upgrade_is_exclusive(const struct wr_master *m)
{
  enum wr_upgrade_stage stage = m->upgrade.stage;
  return stage != WR_UPGRADE_NONE && stage != WR_UPGRADE_DRAINING;
}

bool wr_upgrade_refuses(struct wr_master *m, struct wr_admin_waiter *waiter)
{
  if (waiter == NULL || m->is_draining || !wr_upgrade_is_exclusive(m)) return false;
  wr_admin_refused(waiter, "an upgrade is under way: ask again when it is over");
  return true;
}

bool wr_upgrade_bundle(struct wr_master *m, struct wr_source **out)
{
  struct wr_error error;
  *out = NULL;
  if (m->upgrade.bundle < 0) return true;
  *out = wr_source_unpack(m->upgrade.bundle, 0, &error);
  if (*out == NULL) wr_reload_fail(m, "unpack", error.message);
  return *out != NULL;
}

// --- failing ------------------------------------------------------------------------------------

static void fail(struct wr_master *m, const char *why)
{
  m->upgrade.stage = WR_UPGRADE_NONE;
  wr_upgrade_verdict_failed(m, why);
  wr_demand_go_on(m);
}

// --- going --------------------------------------------------------------------------------------

static bool is_all_said(struct wr_master *m)
{
  if (!wr_list_is_empty(&m->trials)) return false; // somebody looks at a bundle
  for (uint32_t i = 0; i < m->settings->workers; i++) {
    if (m->workers[i].mailbox.is_open && m->workers[i].mailbox.waiting_count > 0) return false;
  }
  return wr_admin_open_count(m->admin) <= (m->upgrade.waiter != NULL);
}

static void go(struct wr_master *m)
{
  if (!wr_rehearsal_is_current(m)) {
    wr_admin_resume(m->admin, dup(m->admin_fd));
    fail(m, "the program was replaced while it was tried: ask again");
    return;
  }
  struct wr_handover_plan plan = {.caller = wr_admin_waiter_fd(m->upgrade.waiter)};
  int document = wr_handover_pack(m, &plan);
  wr_log_flush(&m->log);
  if (document >= 0) wr_succession_exec(m->settings, document);
  char why[WR_SCRIPT_MESSAGE_MAX];
  snprintf(why, sizeof(why), "%s cannot take over: %s", m->settings->program, strerror(errno));
  if (document >= 0) wr_handover_close(document);
  wr_admin_resume(m->admin, dup(m->admin_fd));
  fail(m, why);
}

static void on_look(struct wr_timer *t)
{
  struct wr_upgrade *u = WR_CONTAINER(t, struct wr_upgrade, timer);
  struct wr_master *m = WR_CONTAINER(u, struct wr_master, upgrade);
  bool is_late = wr_loop_now(&m->loop) - u->going_ns >= GOING_NS;
  if (is_all_said(m) || is_late) {
    go(m);
  } else {
    wr_timer_start(t, LOOK_NS);
  }
}

// Those who ask now wait in the socket's queue for the program that comes.
static void start_going(struct wr_master *m)
{
  struct wr_upgrade *u = &m->upgrade;
  u->stage = WR_UPGRADE_GOING;
  u->going_ns = wr_loop_now(&m->loop);
  wr_admin_rest(m->admin);
  wr_timer_init(&u->timer, &m->loop, on_look);
  wr_timer_start(&u->timer, LOOK_NS);
}

// --- the rehearsal ------------------------------------------------------------------------------

static void on_late(struct wr_timer *t)
{
  struct wr_upgrade *u = WR_CONTAINER(t, struct wr_upgrade, timer);
  u->is_late = true;
  kill(u->pid, SIGKILL);
}

void wr_upgrade_on_exit(struct wr_master *m, pid_t pid, int status)
{
  struct wr_upgrade *u = &m->upgrade;
  char why[WR_SCRIPT_MESSAGE_MAX];
  if (u->pid == 0 || pid != u->pid) return;
  u->pid = 0;
  wr_timer_stop(&u->timer);
  bool ok = wr_rehearsal_judge(m, status, why, sizeof(why));
  if (m->is_draining) {
    wr_upgrade_verdict_failed(m, "weir is stopping");
  } else if (ok) {
    start_going(m);
  } else {
    fail(m, why);
  }
}

// Why there can be no upgrade now; NULL when there can.
static const char *refusal(const struct wr_master *m)
{
  if (m->is_draining) return "weir is stopping";
  if (m->upgrade.stage == WR_UPGRADE_DRAINING) {
    return "the workers of the last upgrade still finish what they have: see `weir status`, and "
           "ask "
           "again when they are gone";
  }
  if (m->upgrade.stage != WR_UPGRADE_NONE) return "another upgrade is under way";
  if (m->live == 0 || m->reload.stage != WR_RELOAD_IDLE) {
    return "a reload is under way: ask again when it is over";
  }
  return NULL;
}

void wr_upgrade_request(struct wr_master *m, struct wr_admin_waiter *waiter)
{
  struct wr_upgrade *u = &m->upgrade;
  const char *why = refusal(m);
  if (why != NULL) {
    wr_upgrade_verdict_refused(m, waiter, why);
    return;
  }
  u->waiter = waiter;
  u->stage = WR_UPGRADE_REHEARSAL;
  u->started_ns = wr_loop_now(&m->loop);
  u->is_late = false;
  wr_notify_reloading(&m->notify);
  if (wr_rehearsal_start(m)) {
    wr_timer_init(&u->timer, &m->loop, on_late);
    wr_timer_start(&u->timer, WR_UPGRADE_REHEARSAL_NS);
  } else {
    fail(m, "there is no process, or no memory, to try the new program");
  }
}

void wr_upgrade_rehearsed(struct wr_master *m)
{
  struct wr_reload *r = &m->reload;
  r->stage = WR_RELOAD_IDLE;
  wr_order_free(r->order); // nobody waits for it but a pipe
  r->order = NULL;
  close(r->bundle);
  r->bundle = -1;
  wr_master_stop(m, 0);
}

// --- the new program ----------------------------------------------------------------------------

static void send_leaving(struct wr_master *m, enum wr_worker_message type)
{
  for (uint32_t i = 0; i < m->settings->workers; i++) {
    wr_fleet_send(&m->leaving[i], type, 0, (struct wr_str){NULL, 0}, -1);
  }
}

static void on_drained(struct wr_timer *t)
{
  struct wr_upgrade *u = WR_CONTAINER(t, struct wr_upgrade, timer);
  struct wr_master *m = WR_CONTAINER(u, struct wr_master, upgrade);
  for (uint32_t i = 0; u->is_late && i < m->settings->workers; i++) {
    if (m->leaving[i].pid > 0) kill(m->leaving[i].pid, SIGKILL);
  }
  if (u->is_late) return;
  u->is_late = true;
  send_leaving(m, WR_WORKER_STOP);
  wr_timer_start(t, KILL_AFTER_NS);
}

void wr_upgrade_commit(struct wr_master *m)
{
  if (m->upgrade.stage != WR_UPGRADE_RENEWAL) return;
  m->upgrade.stage = WR_UPGRADE_DRAINING;
  m->upgrade.bundle = -1; // the master's own by now
}

// Nothing is needed any more that is kept to go back.
static void finish(struct wr_master *m)
{
  struct wr_upgrade *u = &m->upgrade;
  u->is_retiring = true;
  u->is_late = false;
  wr_upgrade_verdict_done(m);
  wr_succession_settle();
  wr_handover_forget(m->settings->handover, u->is_foreign);
  send_leaving(m, WR_WORKER_RETIRE);
  wr_timer_init(&u->timer, &m->loop, on_drained);
  wr_timer_start(&u->timer, m->settings->drain_ns);
  wr_upgrade_on_left(m); // perhaps nobody is there
}

static void give_back(struct wr_master *m)
{
  wr_log_text(&m->log, WR_LOG_ERROR, "upgrade.back", "%s", m->reload.last);
  wr_log_flush(&m->log);
  wr_succession_return(m->settings, m->reload.last);
  // Its workers finish and leave when we do, and the service manager starts weir again.
  wr_error_set(m->failure, WR_ERROR_CLOSED,
               "the program before cannot be given the process back: %s", strerror(errno));
  wr_master_stop(m, 70);
}

bool wr_upgrade_on_reload(struct wr_master *m, bool ok)
{
  struct wr_upgrade *u = &m->upgrade;
  if (ok && u->stage == WR_UPGRADE_DRAINING && !u->is_retiring) finish(m);
  if (ok || u->stage != WR_UPGRADE_RENEWAL || m->is_draining) return false;
  give_back(m);
  return true;
}

void wr_upgrade_on_left(struct wr_master *m)
{
  struct wr_upgrade *u = &m->upgrade;
  for (uint32_t i = 0; i < m->settings->workers; i++) {
    if (m->leaving[i].pid > 0 || m->leaving[i].is_closing) return;
  }
  if (u->stage == WR_UPGRADE_DRAINING && u->is_retiring) {
    u->stage = WR_UPGRADE_NONE;
    u->is_retiring = false;
    wr_timer_stop(&u->timer);
    wr_free(m->leaving);
    m->leaving = NULL;
    wr_log_text(&m->log, WR_LOG_INFO, "upgrade.over",
                "the last worker of the program before is gone");
  }
  if (m->is_draining) wr_master_maybe_over(m);
}

void wr_upgrade_stop(struct wr_master *m)
{
  struct wr_upgrade *u = &m->upgrade;
  wr_succession_settle();
  if (u->pid > 0) kill(u->pid, SIGKILL);
  wr_timer_stop(&u->timer);
  if (u->stage == WR_UPGRADE_GOING) wr_upgrade_verdict_failed(m, "weir is stopping");
  if (u->stage == WR_UPGRADE_RENEWAL) wr_upgrade_verdict_failed(m, "weir is stopping");
}

// --- at the start -------------------------------------------------------------------------------

void wr_upgrade_init(struct wr_master *m)
{
  struct wr_upgrade *u = &m->upgrade;
  struct wr_handover *h = m->settings->handover;
  u->bundle = u->caller = u->output = -1;
  wr_timer_init(&u->timer, &m->loop, on_late);
  if (h == NULL || h->is_rehearsal) m->workers = wr_fleet_new(m, 0);
  if (h == NULL) return;
  u->is_rehearsal = h->is_rehearsal;
  if (!h->is_back) u->bundle = h->bundle;
  if (h->is_rehearsal) return;
  u->caller = h->caller;
  wr_handover_adopt(m);
  if (!h->is_back) u->stage = WR_UPGRADE_RENEWAL;
}

// The workers of the program that has failed, in whatever state it left them. They have served
// nobody yet. Of another arena they find their mailbox closed, and leave.
static void end_intruders(struct wr_master *m)
{
  uint32_t workers = m->settings->workers;
  struct wr_master_worker *fleet = wr_fleet_new(m, m->workers[0].slot == 0 ? workers : 0);
  for (uint32_t i = 0; i < workers; i++) {
    struct wr_slot *slot = wr_slot_of(&m->arena, fleet[i].slot);
    pid_t pid = atomic_load_explicit(&slot->pid, memory_order_relaxed);
    if (pid > 0 && waitpid(pid, NULL, WNOHANG) == 0) {
      kill(pid, SIGKILL);
      waitpid(pid, NULL, 0);
    }
    wr_fleet_settle(&fleet[i]);
    wr_slot_leave(slot, true);
  }
  wr_free(fleet);
}

// Given back: what was serving serves on, but for workers that died meanwhile.
void wr_upgrade_resume(struct wr_master *m)
{
  struct wr_handover *h = m->settings->handover;
  if (h == NULL || !h->is_back) return;
  end_intruders(m);
  for (uint32_t i = 0; i < m->settings->workers; i++) {
    if (m->workers[i].pid == 0) wr_fleet_fork(&m->workers[i]);
  }
  wr_upgrade_verdict_failed(m, h->failure);
  wr_handover_forget(h, false);
  wr_demand_go_on(m);
}
