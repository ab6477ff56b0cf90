#include "reload.h"

#include "addresses.h"
#include "base/alloc.h"
#include "base/check.h"
#include "fleet.h"
#include "state.h"
#include "verdict.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

// For all workers to load what the trial loaded, one that has to be replaced first included.
#define PREPARE_NS (10 * WR_SECOND)

// --- the end of a reload
// --------------------------------------------------------------------------

// The folders of the live bundle's files.
static void watch_files(struct wr_master *m)
{
  struct wr_error error;
  struct wr_source *source = m->bundle >= 0 ? wr_source_unpack(m->bundle, &error) : NULL;
  if (source == NULL) return;
  wr_watch_clear(&m->watch);
  for (size_t i = 0; i < source->count; i++) {
    char *folder = wr_source_folder(source, i);
    if (!wr_watch_add(&m->watch, folder)) {
      wr_log_text(&m->log, WR_LOG_WARN, "watch", "cannot watch %s", folder);
    }
    wr_free(folder);
  }
  // What was saved since the candidate read it has nobody told of: not every folder was watched,
  // and changes of the others ended with their watch.
  if (!wr_source_is_current(source)) wr_watch_touch(&m->watch);
  wr_source_free(source);
}

static void go_on(struct wr_master *m)
{
  struct wr_reload *r = &m->reload;
  bool is_asked = r->is_wanted || r->is_restoring || !wr_list_is_empty(&r->next_dry);
  if (is_asked) wr_loop_defer(&m->loop, &r->again);
}

static void finish(struct wr_master *m, bool ok, bool changed)
{
  struct wr_reload *r = &m->reload;
  wr_timer_stop(&r->timer);
  r->stage = WR_RELOAD_IDLE;
  r->counted[ok]++;
  if (r->bundle >= 0) close(r->bundle);
  r->bundle = -1;
  wr_call_error_text(&r->report.error, r->last, sizeof(r->last));
  if (ok) r->last[0] = '\0';
  wr_meter_add(&m->meter, WR_METRIC_POLICY_RELOADS, 1, "result",
               !ok       ? "failed"
               : changed ? "live"
                         : "unchanged",
               NULL);
  wr_verdict_log(m, ok, changed);
  wr_verdict_notify(m, ok);
  if (changed && m->settings->watch) watch_files(m);
  wr_verdict_tell(m, ok, changed);
  if (!ok && m->live == 0 && !m->is_draining) {
    // Nothing serves yet: a start that fails is told on the terminal, and over.
    wr_error_set(m->failure, WR_ERROR_SCRIPT, "%s", r->last);
    wr_master_stop(m, strcmp(r->report.stage, "listen") == 0 ? 69 : 78);
  } else {
    go_on(m);
  }
}

// Tells who asked, and nobody else: nothing has changed.
static void finish_dry(struct wr_master *m)
{
  struct wr_reload *r = &m->reload;
  wr_timer_stop(&r->timer);
  r->stage = WR_RELOAD_IDLE;
  wr_verdict_tell_dry(m, r->report.ok ? r->bundle : -1);
  if (r->bundle >= 0) close(r->bundle);
  r->bundle = -1;
  r->is_dry = false;
  go_on(m);
}

// --- failing ------------------------------------------------------------------------------------

static void fail(struct wr_master *m)
{
  if (m->reload.is_dry) {
    m->reload.report.ok = false;
    finish_dry(m);
    return;
  }
  uint64_t number = m->reload.number;
  for (uint32_t i = 0; m->reload.stage == WR_RELOAD_PREPARE && i < m->settings->workers; i++) {
    wr_fleet_send(&m->workers[i], WR_WORKER_DISCARD, number, (struct wr_str){NULL, 0}, -1);
    m->workers[i].prepared = 0;
  }
  wr_addresses_discard(m);
  // What could not come back is not tried again, the one before it is.
  bool is_bad = m->live != 0 && wr_history_find(&m->history, m->live_report.hash) != NULL;
  m->reload.is_restoring = is_bad && m->history.past_count > 0;
  finish(m, false, false);
}

static void fail_with(struct wr_master *m, const char *stage, const char *message)
{
  struct wr_candidate_report *report = &m->reload.report;
  snprintf(report->stage, sizeof(report->stage), "%s", stage);
  wr_call_error_set(&report->error, "", 0, "%s", message);
  fail(m);
}

// --- commit -------------------------------------------------------------------------------------

static void send_all(struct wr_master *m, enum wr_worker_message type, uint64_t number)
{
  for (uint32_t i = 0; i < m->settings->workers; i++) {
    wr_fleet_send(&m->workers[i], type, number, (struct wr_str){NULL, 0}, -1);
  }
}

static void maybe_done(struct wr_master *m)
{
  if (m->reload.stage != WR_RELOAD_COMMIT) return;
  for (uint32_t i = 0; i < m->settings->workers; i++) {
    if (m->workers[i].live != m->live) return;
  }
  wr_addresses_commit(m);
  finish(m, true, true);
}

static void maybe_commit(struct wr_master *m)
{
  struct wr_reload *r = &m->reload;
  if (r->stage != WR_RELOAD_PREPARE) return;
  for (uint32_t i = 0; i < m->settings->workers; i++) {
    if (m->workers[i].prepared != r->number) return;
  }
  wr_timer_stop(&r->timer);
  // From here on the new generation is the live one: a worker that dies comes back with it.
  r->stage = WR_RELOAD_COMMIT;
  if (m->live == 0) wr_state_restore(m);
  if (m->bundle >= 0) wr_history_push(&m->history, m->live, m->bundle, &m->live_report);
  m->bundle = r->bundle;
  r->bundle = -1;
  m->live = r->number;
  m->live_report = r->report;
  m->live_since_ns = wr_loop_now(&m->loop);
  send_all(m, WR_WORKER_COMMIT, r->number);
  wr_addresses_send(m);
}

void wr_reload_on_prepared(struct wr_master_worker *w, uint64_t number)
{
  w->prepared = number;
  maybe_commit(w->master);
}

void wr_reload_on_failed(struct wr_master_worker *w, uint64_t number,
                         const struct wr_worker_failure *failure)
{
  struct wr_master *m = w->master;
  if (m->reload.stage != WR_RELOAD_PREPARE || number != m->reload.number) return;
  snprintf(m->reload.report.stage, sizeof(m->reload.report.stage), "prepare");
  m->reload.report.error = failure->error;
  fail(m);
}

// A worker holds one generation ready: one that still has to go live with the old one is asked for
// the new one when it has, or a failure would leave it with neither.
static void ask_to_prepare(struct wr_master_worker *w)
{
  struct wr_master *m = w->master;
  if (m->reload.stage != WR_RELOAD_PREPARE || w->live != m->live) return;
  wr_fleet_send(w, WR_WORKER_PREPARE, m->reload.number, (struct wr_str){NULL, 0}, m->reload.bundle);
}

void wr_reload_on_live(struct wr_master_worker *w, uint64_t number)
{
  w->live = number;
  w->prepared = 0;
  ask_to_prepare(w);
  maybe_done(w->master);
}

void wr_reload_on_fork(struct wr_master_worker *w)
{
  w->prepared = 0;
  ask_to_prepare(w);
}

// --- prepare ------------------------------------------------------------------------------------

static void fail_listen(struct wr_master *m, const struct wr_candidate_listen *listen,
                        const char *message)
{
  char text[WR_CANDIDATE_PLACE_MAX + WR_SCRIPT_MESSAGE_MAX];
  snprintf(text, sizeof(text), "%s: %s", listen->place, message);
  wr_call_error_parse(&m->reload.report.error, wr_str_of(text));
  snprintf(m->reload.report.stage, sizeof(m->reload.report.stage), "listen");
  fail(m);
}

static void prepare(struct wr_master *m)
{
  struct wr_reload *r = &m->reload;
  struct wr_error error;
  const struct wr_candidate_listen *listen = wr_addresses_open(m, &error);
  if (listen != NULL) {
    fail_listen(m, listen, error.message);
    return;
  }
  r->number = ++m->last_number;
  r->stage = WR_RELOAD_PREPARE;
  wr_timer_start(&r->timer, PREPARE_NS);
  for (uint32_t i = 0; i < m->settings->workers; i++) {
    struct wr_master_worker *w = &m->workers[i];
    if (w->pid != 0) {
      ask_to_prepare(w);
    } else if (m->live == 0 && !w->is_closing && !wr_timer_is_running(&w->refork)) {
      wr_fleet_fork(w); // the first start; asks too
    }
    // A slot whose worker just died is forked again in its own time, and asked then.
  }
}

// --- trial --------------------------------------------------------------------------------------

// Whether the bundle is quarantined; who insists has that lifted.
static bool is_quarantined(struct wr_master *m)
{
  struct wr_reload *r = &m->reload;
  if (r->is_forced) wr_history_pardon(&m->history, r->report.hash);
  const struct wr_quarantine *q = wr_history_find(&m->history, r->report.hash);
  if (q == NULL) return false;
  char age[WR_DURATION_TEXT];
  char text[WR_SCRIPT_MESSAGE_MAX];
  uint64_t since = wr_loop_now(&m->loop) - q->since_ns;
  snprintf(
      text, sizeof(text),
      "this bundle was quarantined %s ago, as generation %llu, for its %d strikes in 60 s (%s): "
      "change it, or insist with `weir reload --force`",
      wr_duration_text(since / WR_SECOND * WR_SECOND, age), (unsigned long long)q->number,
      WR_HISTORY_STRIKES_MAX, q->why);
  fail_with(m, "quarantine", text);
  return true;
}

static void judge_trial(struct wr_master *m)
{
  struct wr_reload *r = &m->reload;
  if (!r->report.ok) {
    fail(m);
  } else if (r->is_dry) {
    finish_dry(m);
  } else if (is_quarantined(m)) {
    return;
  } else if (m->live != 0 && r->report.hash == m->live_report.hash) {
    finish(m, true, false);
  } else {
    prepare(m);
  }
}

static void on_report(struct wr_mailbox *mailbox, const struct wr_message *head,
                      const void *payload, int fd)
{
  struct wr_reload *r = &WR_CONTAINER(mailbox, struct wr_trial, mailbox)->master->reload;
  if (r->has_report || head->size != sizeof(r->report)) {
    if (fd >= 0) close(fd);
    return;
  }
  wr_candidate_read(&r->report, payload);
  if (fd < 0) r->report.ok = false;
  r->has_report = true;
  r->bundle = fd;
}

static void on_trial_closed(struct wr_io *io)
{
  wr_free(WR_CONTAINER(WR_CONTAINER(io, struct wr_mailbox, io), struct wr_trial, mailbox));
}

// The report is read; what follows waits for the process to be gone.
static void on_hangup(struct wr_mailbox *mailbox)
{
  wr_io_want(&mailbox->io, 0);
}

static void on_late(struct wr_timer *t)
{
  struct wr_reload *r = WR_CONTAINER(t, struct wr_reload, timer);
  if (r->trial) kill(r->trial->pid, SIGKILL);
  if (r->stage != WR_RELOAD_PREPARE) return;
  fail_with(WR_CONTAINER(r, struct wr_master, reload), "prepare",
            "not every worker had the scripts ready in time");
}

static void describe_death(struct wr_reload *r, int status)
{
  char text[128];
  bool late = WIFSIGNALED(status) && (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGXCPU);
  if (late) {
    snprintf(text, sizeof(text), "the scripts did not finish loading in time");
  } else if (WIFSIGNALED(status)) {
    snprintf(text, sizeof(text), "loading the scripts crashed the trial process: %s",
             strsignal(WTERMSIG(status)));
  } else {
    snprintf(text, sizeof(text), "the trial process ended with %d and said nothing",
             WEXITSTATUS(status));
  }
  snprintf(r->report.stage, sizeof(r->report.stage), "%s", late ? "time" : "crash");
  wr_call_error_set(&r->report.error, "", 0, "%s", text);
}

void wr_reload_on_exit(struct wr_master *m, pid_t pid, int status)
{
  struct wr_reload *r = &m->reload;
  struct wr_trial *trial = r->trial;
  if (trial == NULL || trial->pid != pid) return;
  r->trial = NULL;
  wr_timer_stop(&r->timer);
  // The process is gone, but its message may still lie in the socket.
  trial->mailbox.io.on_ready(&trial->mailbox.io, WR_IO_READ);
  wr_mailbox_close(&trial->mailbox, on_trial_closed);
  if (!r->has_report) describe_death(r, status);
  if (!m->is_draining) judge_trial(m);
}

static bool open_trial(struct wr_master *m)
{
  int pair[2];
  struct wr_error error;
  struct wr_source *live = m->reload.is_dry ? wr_source_unpack(m->bundle, &error) : NULL;
  if (m->reload.is_dry && live == NULL) return false;
  if (wr_mailbox_pair(pair) != 0) {
    wr_source_free(live);
    return false;
  }
  pid_t pid = wr_fleet_fork_process(m, pair);
  if (pid == 0) _exit(wr_candidate_run(&m->arena, m->settings, live, pair[1]));
  wr_source_free(live);
  close(pair[1]);
  if (pid < 0) {
    close(pair[0]);
    return false;
  }
  struct wr_trial *trial = wr_alloc(sizeof(*trial));
  trial->master = m;
  trial->pid = pid;
  trial->mailbox.on_message = on_report;
  trial->mailbox.on_hangup = on_hangup;
  WR_CHECK(wr_mailbox_open(&trial->mailbox, &m->loop, pair[0], "candidate") == 0);
  m->reload.trial = trial;
  return true;
}

static void move_callers(struct wr_list *from, struct wr_list *to)
{
  struct wr_list *node;
  while ((node = wr_list_pop(from)) != NULL) wr_list_push(to, node);
}

static void start(struct wr_master *m, bool is_dry)
{
  struct wr_reload *r = &m->reload;
  r->is_dry = is_dry;
  if (!is_dry) {
    r->is_wanted = false;
    r->is_forced = r->will_force;
    r->will_force = false;
  }
  r->stage = WR_RELOAD_TRIAL;
  r->started_ns = wr_loop_now(&m->loop);
  r->report = (struct wr_candidate_report){0};
  r->has_report = false;
  if (m->live != 0 && !is_dry) wr_notify_reloading(&m->notify);
  move_callers(is_dry ? &r->next_dry : &r->next, &r->callers);
  if (!open_trial(m)) {
    fail_with(m, "start", "no process for the trial");
    return;
  }
  wr_timer_init(&r->timer, &m->loop, on_late);
  wr_timer_start(&r->timer, WR_CANDIDATE_TIME_NS);
}

// Whoever asks while weir stops gets an answer too, and a reload that did not happen is not
// counted.
static void refuse_next(struct wr_master *m)
{
  struct wr_reload *r = &m->reload;
  move_callers(&r->next, &r->callers);
  move_callers(&r->next_dry, &r->callers);
  r->report = (struct wr_candidate_report){.stage = "stop"};
  wr_call_error_set(&r->report.error, "", 0, "weir is stopping");
  wr_verdict_tell(m, false, false);
}

// The bundle that was live before and is not quarantined goes live again, as it was read then.
static void restore(struct wr_master *m)
{
  struct wr_reload *r = &m->reload;
  r->is_restoring = false;
  if (wr_history_find(&m->history, m->live_report.hash) == NULL) return; // another is live by now
  struct wr_past *past = wr_history_take(&m->history);
  if (past == NULL) {
    wr_log_text(&m->log, WR_LOG_ERROR, "policy.quarantine",
                "generation %llu stays: there is none to go back to", (unsigned long long)m->live);
    return;
  }
  r->started_ns = wr_loop_now(&m->loop);
  r->report = past->report;
  r->has_report = true;
  r->bundle = past->bundle;
  wr_free(past);
  wr_timer_init(&r->timer, &m->loop, on_late);
  prepare(m);
}

void wr_reload_restore(struct wr_master *m)
{
  m->reload.is_restoring = true;
  if (m->reload.stage == WR_RELOAD_IDLE) wr_loop_defer(&m->loop, &m->reload.again);
}

static void on_again(struct wr_deferred *d)
{
  struct wr_reload *r = WR_CONTAINER(d, struct wr_reload, again);
  struct wr_master *m = WR_CONTAINER(r, struct wr_master, reload);
  if (r->stage != WR_RELOAD_IDLE || m->is_draining) return;
  if (r->is_restoring) restore(m);
  if (r->stage != WR_RELOAD_IDLE) return;
  if (r->is_wanted) {
    start(m, false);
  } else if (m->live != 0 && !wr_list_is_empty(&r->next_dry)) {
    start(m, true);
  }
}

void wr_reload_init(struct wr_master *m)
{
  wr_list_init(&m->reload.callers);
  wr_list_init(&m->reload.next);
  wr_list_init(&m->reload.next_dry);
  wr_deferred_init(&m->reload.again, on_again);
  m->reload.bundle = -1;
}

static void queue(struct wr_list *list, struct wr_admin_waiter *waiter)
{
  struct wr_reload_caller *caller = wr_alloc(sizeof(*caller));
  caller->waiter = waiter;
  wr_list_push(list, &caller->link);
}

void wr_reload_request(struct wr_master *m, struct wr_admin_waiter *waiter, bool force)
{
  struct wr_reload *r = &m->reload;
  r->will_force |= force;
  if (waiter) queue(&r->next, waiter);
  if (m->is_draining) {
    refuse_next(m);
    return;
  }
  r->is_wanted = true;
  if (r->stage == WR_RELOAD_IDLE) start(m, false);
}

void wr_reload_dry_run(struct wr_master *m, struct wr_admin_waiter *waiter)
{
  queue(&m->reload.next_dry, waiter);
  if (m->is_draining) {
    refuse_next(m);
  } else {
    go_on(m);
  }
}

void wr_reload_stop(struct wr_master *m)
{
  struct wr_reload *r = &m->reload;
  if (r->trial) kill(r->trial->pid, SIGKILL);
  wr_timer_stop(&r->timer);
  if (r->stage == WR_RELOAD_COMMIT) {
    finish(m, true, true); // it is decided, even if a worker does not live to say so
  } else if (r->stage != WR_RELOAD_IDLE) {
    fail_with(m, "stop", "weir is stopping");
  }
  refuse_next(m);
}
