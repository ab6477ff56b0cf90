#include "reload.h"

#include "base/alloc.h"
#include "base/check.h"
#include "fleet.h"

#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

// For all workers to load what the trial loaded, one that has to be replaced first included.
#define PREPARE_NS (10 * WR_SECOND)

// --- the verdict --------------------------------------------------------------------------------

static void write_failure(struct wr_master *m, struct wr_json *j)
{
  const struct wr_candidate_report *report = &m->reload.report;
  wr_json_field_cstr(j, "stage", report->stage);
  if (report->error.file[0]) {
    char path[PATH_MAX];
    wr_candidate_path(m->settings->file, report->error.file, path, sizeof(path));
    wr_json_field_cstr(j, "file", path);
    wr_json_field_uint(j, "line", (uint64_t)report->error.line);
  }
  wr_json_field_cstr(j, "message", report->error.message);
  if (report->error.traceback[0]) wr_json_field_cstr(j, "traceback", report->error.traceback);
}

static void write_verdict(struct wr_master *m, bool ok, bool changed, struct wr_json *j)
{
  uint64_t took = wr_loop_now(&m->loop) - m->reload.started_ns;
  wr_json_field_cstr(j, "result", ok ? "live" : "failed");
  wr_json_field_uint(j, "generation", m->live);
  wr_json_field_bool(j, "changed", changed);
  wr_json_field_uint(j, "workers", m->settings->workers);
  wr_json_field_num(j, "took_ms", floor((double)took / 1e3) / 1e3);
  if (!ok) write_failure(m, j);
}

static void log_verdict(struct wr_master *m, bool ok, bool changed)
{
  struct wr_json *j = wr_log_begin(&m->log, ok ? WR_LOG_INFO : WR_LOG_ERROR, "reload");
  if (j == NULL) return;
  write_verdict(m, ok, changed, j);
  wr_log_end(&m->log);
}

static void tell_callers(struct wr_master *m, bool ok, bool changed)
{
  struct wr_buf out;
  struct wr_json j;
  struct wr_list *node;
  wr_buf_init(&out, 64 * 1024);
  wr_json_init(&j, &out);
  wr_json_object(&j);
  write_verdict(m, ok, changed, &j);
  wr_json_object_end(&j);
  while ((node = wr_list_pop(&m->reload.callers)) != NULL) {
    struct wr_reload_caller *caller = WR_CONTAINER(node, struct wr_reload_caller, link);
    wr_admin_reloaded(caller->waiter, ok, wr_buf_str(&out));
    wr_free(caller);
  }
  wr_buf_fini(&out);
}

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
  wr_source_free(source);
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
  log_verdict(m, ok, changed);
  if (changed && m->settings->watch) watch_files(m);
  tell_callers(m, ok, changed);
  if (!ok && m->live == 0 && !m->is_draining) {
    // Nothing serves yet: a start that fails is told on the terminal, and over.
    wr_error_set(m->failure, WR_ERROR_SCRIPT, "%s", r->last);
    wr_master_stop(m, strcmp(r->report.stage, "listen") == 0 ? 69 : 78);
  } else if (r->is_wanted) {
    wr_loop_defer(&m->loop, &r->again);
  }
}

// --- failing ------------------------------------------------------------------------------------

static void close_unwanted(struct wr_master *m)
{
  WR_LIST_EACH(&m->listeners, node) {
    struct wr_listener *l = WR_CONTAINER(node, struct wr_listener, link);
    if (l->is_new) wr_listener_close(l);
  }
}

static void fail(struct wr_master *m)
{
  uint64_t number = m->reload.number;
  for (uint32_t i = 0; m->reload.stage == WR_RELOAD_PREPARE && i < m->settings->workers; i++) {
    wr_fleet_send(&m->workers[i], WR_WORKER_DISCARD, number, (struct wr_str){NULL, 0}, -1);
    m->workers[i].prepared = 0;
  }
  close_unwanted(m);
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

static void drop_listeners(struct wr_master *m)
{
  WR_LIST_EACH(&m->listeners, node) {
    struct wr_listener *l = WR_CONTAINER(node, struct wr_listener, link);
    l->is_new = false;
    if (l->is_wanted) {
      wr_listener_keep_mode(l);
      continue;
    }
    for (uint32_t i = 0; i < m->settings->workers; i++) {
      wr_fleet_send(&m->workers[i], WR_WORKER_UNLISTEN, 0, wr_str_of(l->address), -1);
    }
    wr_listener_close(l);
  }
}

static void maybe_done(struct wr_master *m)
{
  if (m->reload.stage != WR_RELOAD_COMMIT) return;
  for (uint32_t i = 0; i < m->settings->workers; i++) {
    if (m->workers[i].live != m->live) return;
  }
  drop_listeners(m);
  finish(m, true, true);
}

static void send_new_listeners(struct wr_master *m)
{
  WR_LIST_EACH(&m->listeners, node) {
    struct wr_listener *l = WR_CONTAINER(node, struct wr_listener, link);
    for (uint32_t i = 0; l->is_new && i < m->settings->workers; i++) {
      // The others get all listeners when they are live.
      if (!m->workers[i].is_listening) continue;
      wr_fleet_send(&m->workers[i], WR_WORKER_LISTEN, 0, wr_str_of(l->address), l->fds[i]);
    }
  }
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
  if (m->bundle >= 0) close(m->bundle);
  m->bundle = r->bundle;
  r->bundle = -1;
  m->live = r->number;
  m->live_hash = r->report.hash;
  m->live_routes = r->report.routes;
  m->live_since_ns = wr_loop_now(&m->loop);
  send_all(m, WR_WORKER_COMMIT, r->number);
  send_new_listeners(m);
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

static struct wr_listener *find_listener(struct wr_master *m, const char *address)
{
  WR_LIST_EACH(&m->listeners, node) {
    struct wr_listener *l = WR_CONTAINER(node, struct wr_listener, link);
    if (strcmp(l->address, address) == 0) return l;
  }
  return NULL;
}

// Keeps the sockets that are listened on already and opens the new ones; false when one cannot be.
static bool open_listeners(struct wr_master *m, struct wr_error *error)
{
  const struct wr_candidate_report *report = &m->reload.report;
  WR_LIST_EACH(&m->listeners, node) {
    WR_CONTAINER(node, struct wr_listener, link)->is_wanted = false;
  }
  for (uint32_t i = 0; i < report->listen_count; i++) {
    const struct wr_candidate_listen *listen = &report->listens[i];
    struct wr_listener *l = find_listener(m, listen->address);
    if (l == NULL) {
      l = wr_listener_open(listen->address, m->settings->workers, listen->mode, error);
      if (l == NULL) return false;
      l->is_new = true;
      wr_list_push(&m->listeners, &l->link);
    }
    l->is_wanted = true;
    l->mode = listen->mode;
  }
  return true;
}

static void prepare(struct wr_master *m)
{
  struct wr_reload *r = &m->reload;
  struct wr_error error;
  if (!open_listeners(m, &error)) {
    fail_with(m, "listen", error.message);
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

static void judge_trial(struct wr_master *m)
{
  struct wr_reload *r = &m->reload;
  if (!r->report.ok) {
    fail(m);
  } else if (m->live != 0 && r->report.hash == m->live_hash) {
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
  // The sender ran scripts and may say anything: every text is ended here.
  memcpy(&r->report, payload, sizeof(r->report));
  r->report.stage[sizeof(r->report.stage) - 1] = '\0';
  r->report.error.file[WR_SCRIPT_FILE_MAX - 1] = '\0';
  r->report.error.message[WR_SCRIPT_MESSAGE_MAX - 1] = '\0';
  r->report.error.traceback[WR_SCRIPT_TRACEBACK_MAX - 1] = '\0';
  if (r->report.listen_count > WR_CANDIDATE_LISTENS_MAX) r->report.listen_count = 0;
  for (uint32_t i = 0; i < r->report.listen_count; i++) {
    r->report.listens[i].address[WR_CANDIDATE_ADDRESS_MAX - 1] = '\0';
  }
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
  if (wr_mailbox_pair(pair) != 0) return false;
  pid_t pid = wr_fleet_fork_process(m, pair);
  if (pid == 0) _exit(wr_candidate_run(&m->arena, m->settings, pair[1]));
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

static void start(struct wr_master *m)
{
  struct wr_reload *r = &m->reload;
  r->is_wanted = false;
  r->stage = WR_RELOAD_TRIAL;
  r->started_ns = wr_loop_now(&m->loop);
  r->report = (struct wr_candidate_report){0};
  r->has_report = false;
  struct wr_list *node;
  while ((node = wr_list_pop(&r->next)) != NULL) wr_list_push(&r->callers, node);
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
  struct wr_list *node;
  while ((node = wr_list_pop(&r->next)) != NULL) wr_list_push(&r->callers, node);
  r->report = (struct wr_candidate_report){.stage = "stop"};
  wr_call_error_set(&r->report.error, "", 0, "weir is stopping");
  tell_callers(m, false, false);
}

static void on_again(struct wr_deferred *d)
{
  struct wr_reload *r = WR_CONTAINER(d, struct wr_reload, again);
  struct wr_master *m = WR_CONTAINER(r, struct wr_master, reload);
  if (r->is_wanted && r->stage == WR_RELOAD_IDLE && !m->is_draining) start(m);
}

void wr_reload_init(struct wr_master *m)
{
  wr_list_init(&m->reload.callers);
  wr_list_init(&m->reload.next);
  wr_deferred_init(&m->reload.again, on_again);
  m->reload.bundle = -1;
}

void wr_reload_request(struct wr_master *m, struct wr_admin_waiter *waiter)
{
  struct wr_reload *r = &m->reload;
  if (waiter) {
    struct wr_reload_caller *caller = wr_alloc(sizeof(*caller));
    caller->waiter = waiter;
    wr_list_push(&r->next, &caller->link);
  }
  if (m->is_draining) {
    refuse_next(m);
    return;
  }
  r->is_wanted = true;
  if (r->stage == WR_RELOAD_IDLE) start(m);
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
