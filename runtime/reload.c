#include "reload.h"

#include "addresses.h"
#include "demand.h"
#include "fleet.h"
#include "follow.h"
#include "probation.h"
#include "state.h"
#include "strike.h"
#include "upgrade.h"
#include "verdict.h"

#include <stdio.h>
#include <unistd.h>

// For all workers to load what the trial loaded, one that has to be replaced first included.
#define PREPARE_NS (30 * WR_SECOND)

// --- the end of a reload -----------------------------------------------------------------------

bool wr_reload_is_first(const struct wr_master *m)
{
  return m->live == 0 || m->upgrade.stage == WR_UPGRADE_RENEWAL;
}

void wr_reload_finish(struct wr_master *m, bool ok, bool changed)
{
  struct wr_reload *r = &m->reload;
  wr_timer_stop(&r->timer);
  r->stage = WR_RELOAD_IDLE;
  if (r->bundle >= 0) close(r->bundle);
  r->bundle = -1;
  wr_call_error_text(&r->report.error, r->last, sizeof(r->last));
  if (ok) r->last[0] = '\0';
  if (!ok) r->failed_ns = wr_loop_now(&m->loop);
  wr_verdict_count(m, ok, changed);
  wr_verdict_log(m, ok, changed);
  wr_verdict_notify(m, ok);
  // What came by an upgrade was read long ago.
  bool is_of_disk = r->order->kind == WR_ORDER_LOAD && m->upgrade.stage == WR_UPGRADE_NONE;
  if (changed) wr_follow_bundle(m, is_of_disk);
  if (!ok) wr_follow_problem(m);
  wr_verdict_tell(m, r->order, ok, changed);
  wr_order_free(r->order);
  r->order = NULL;
  if (wr_upgrade_on_reload(m, ok)) return;
  if (!ok && m->live == 0 && !m->is_draining) {
    // Nothing serves yet: a start that fails is told on the terminal, and over.
    wr_error_set(m->failure, WR_ERROR_SCRIPT, "%s", r->last);
    wr_master_stop(m, strcmp(r->report.stage, "listen") == 0 ? 69 : 78);
  } else {
    wr_demand_go_on(m);
  }
}

// --- failing ------------------------------------------------------------------------------------

// Workers forget what they have ready, or on probation.
static void discard(struct wr_master *m)
{
  struct wr_reload *r = &m->reload;
  bool is_prepared = r->stage == WR_RELOAD_PREPARE || r->stage == WR_RELOAD_CANARY;
  for (uint32_t i = 0; is_prepared && i < m->settings->workers; i++) {
    wr_fleet_send(&m->workers[i], WR_WORKER_DISCARD, r->number, (struct wr_str){NULL, 0}, -1);
    m->workers[i].prepared = 0;
  }
  wr_addresses_discard(m);
}

static void fail(struct wr_master *m)
{
  struct wr_reload *r = &m->reload;
  discard(m);
  if (r->order->kind == WR_ORDER_RESTORE && r->past_number != 0) {
    // What could not come back is not tried again, the one before it is.
    wr_history_forget(&m->history, r->past_number);
    wr_orders_add(&r->orders, WR_ORDER_RESTORE);
  }
  wr_reload_finish(m, false, false);
}

void wr_reload_end_shadow(struct wr_master *m)
{
  discard(m);
  wr_reload_finish(m, true, false);
}

void wr_reload_fail(struct wr_master *m, const char *stage, const char *message)
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
  wr_reload_finish(m, true, true);
}

static void remember_live(struct wr_master *m)
{
  struct wr_past was = {.number = m->live,
                        .since_ns = wr_loop_now(&m->loop),
                        .bundle = m->bundle,
                        .report = m->live_report};
  if (m->bundle >= 0) wr_history_push(&m->history, &was);
}

static bool all_prepared(const struct wr_master *m)
{
  for (uint32_t i = 0; i < m->settings->workers; i++) {
    if (m->workers[i].prepared != m->reload.number) return false;
  }
  return true;
}

// From here on the new generation is the live one: a worker that dies comes back with it.
static void commit(struct wr_master *m)
{
  struct wr_reload *r = &m->reload;
  r->stage = WR_RELOAD_COMMIT;
  if (wr_reload_is_first(m)) {
    wr_state_restore(m);
    if (m->bundle >= 0) close(m->bundle); // handed over, and packed anew
    wr_upgrade_commit(m);
  } else {
    wr_history_forget(&m->history, r->number);
    remember_live(m);
  }
  m->bundle = r->bundle;
  r->bundle = -1;
  m->live = r->number;
  m->live_report = r->report;
  m->live_since_ns = wr_loop_now(&m->loop);
  send_all(m, WR_WORKER_COMMIT, r->number);
  wr_addresses_send(m);
}

void wr_reload_promote(struct wr_master *m)
{
  if (all_prepared(m)) commit(m);
}

static bool is_on_probation(const struct wr_master *m)
{
  const struct wr_probation_plan *plan = &m->reload.order->probation;
  return (plan->canary.share != 0 || plan->is_shadow) && !wr_reload_is_first(m);
}

static void on_ready(struct wr_master *m)
{
  wr_timer_stop(&m->reload.timer);
  if (m->upgrade.is_rehearsal) {
    wr_upgrade_rehearsed(m);
  } else if (is_on_probation(m)) {
    wr_probation_begin(m);
  } else {
    commit(m);
  }
}

void wr_reload_on_prepared(struct wr_master_worker *w, uint64_t number)
{
  struct wr_master *m = w->master;
  w->prepared = number;
  if (m->reload.stage == WR_RELOAD_CANARY) wr_probation_join(w);
  if (m->reload.stage == WR_RELOAD_PREPARE && all_prepared(m)) on_ready(m);
}

void wr_reload_on_failed(struct wr_master_worker *w, uint64_t number,
                         const struct wr_worker_failure *failure)
{
  struct wr_master *m = w->master;
  bool is_waiting = m->reload.stage == WR_RELOAD_PREPARE || m->reload.stage == WR_RELOAD_CANARY;
  if (!is_waiting || number != m->reload.number) return;
  snprintf(m->reload.report.stage, sizeof(m->reload.report.stage), "prepare");
  m->reload.report.error = failure->error;
  fail(m);
}

// A worker holds one generation ready: one that still has to go live with the old one is asked for
// the new one when it has, or a failure would leave it with neither.
static void ask_to_prepare(struct wr_master_worker *w)
{
  struct wr_master *m = w->master;
  bool is_wanted = m->reload.stage == WR_RELOAD_PREPARE || m->reload.stage == WR_RELOAD_CANARY;
  uint64_t served = wr_reload_is_first(m) ? 0 : m->live;
  if (!is_wanted || w->live != served) return;
  enum wr_worker_message type =
      m->reload.order->probation.is_shadow ? WR_WORKER_SHADOW : WR_WORKER_PREPARE;
  wr_fleet_send(w, type, m->reload.number, (struct wr_str){NULL, 0}, m->reload.bundle);
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

static void on_late(struct wr_timer *t)
{
  struct wr_reload *r = WR_CONTAINER(t, struct wr_reload, timer);
  wr_reload_fail(WR_CONTAINER(r, struct wr_master, reload), "prepare",
                 "not every worker had the scripts ready in time");
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
  if (is_on_probation(m) && wr_addresses_bar_probation(m)) return;
  r->number = r->past_number ? r->past_number : ++m->last_number;
  r->stage = WR_RELOAD_PREPARE;
  wr_timer_start(&r->timer, PREPARE_NS);
  for (uint32_t i = 0; i < m->settings->workers; i++) {
    struct wr_master_worker *w = &m->workers[i];
    if (w->pid != 0) {
      ask_to_prepare(w);
    } else if (wr_reload_is_first(m) && !w->is_closing && !wr_timer_is_running(&w->refork)) {
      wr_fleet_fork(w); // the first start; asks too
    }
    // A slot whose worker just died is forked again in its own time, and asked then.
  }
}

// --- the first stage ----------------------------------------------------------------------------

void wr_reload_start(struct wr_master *m, struct wr_order *o)
{
  struct wr_reload *r = &m->reload;
  r->order = o;
  r->stage = WR_RELOAD_TRIAL;
  r->started_ns = wr_loop_now(&m->loop);
  r->report = (struct wr_candidate_report){0};
  r->canary = r->baseline = (struct wr_comparison_group){0};
  r->past_number = 0;
  wr_timer_init(&r->timer, &m->loop, on_late);
  if (!wr_reload_is_first(m)) wr_notify_reloading(&m->notify);
}

void wr_reload_judge(struct wr_master *m)
{
  struct wr_reload *r = &m->reload;
  if (!r->report.ok) {
    fail(m);
  } else if (!wr_reload_is_first(m) && wr_strike_bars(m)) {
    return;
  } else if (!wr_reload_is_first(m) && r->report.hash == m->live_report.hash) {
    wr_reload_finish(m, true, false);
  } else {
    prepare(m);
  }
}
