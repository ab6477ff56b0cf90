#include "demand.h"

#include "reload.h"
#include "trial.h"
#include "upgrade.h"
#include "verdict.h"

#include <stdio.h>
#include <unistd.h>

// --- one after the other ------------------------------------------------------------------------

void wr_demand_go_on(struct wr_master *m)
{
  struct wr_reload *r = &m->reload;
  bool is_free = r->stage == WR_RELOAD_IDLE && !wr_list_is_empty(&r->orders);
  if (is_free && !wr_upgrade_is_exclusive(m)) wr_loop_defer(&m->loop, &r->again);
}

// --- beginning ----------------------------------------------------------------------------------

static void on_tried(struct wr_trial *t)
{
  struct wr_reload *r = &t->master->reload;
  r->trial = NULL;
  r->report = t->report;
  r->bundle = t->result;
  t->result = -1;
  wr_reload_judge(t->master);
}

static void load(struct wr_master *m)
{
  struct wr_candidate_task task = {.wish = WR_CANDIDATE_BUNDLE};
  if (!wr_upgrade_bundle(m, &task.subject)) return;
  m->reload.trial = wr_trial_start(m, &task, on_tried);
  if (m->reload.trial == NULL) wr_reload_fail(m, "start", "no process for the trial");
}

static void use(struct wr_master *m, const struct wr_past *past)
{
  struct wr_reload *r = &m->reload;
  r->report = past->report;
  r->past_number = past->number;
  r->bundle = dup(past->bundle);
  wr_reload_judge(m);
}

// There is no such generation: who asked is told so, and nothing has happened.
static void refuse(struct wr_master *m)
{
  struct wr_reload *r = &m->reload;
  uint64_t number = r->order->number;
  snprintf(r->report.stage, sizeof(r->report.stage), "use");
  if (number == 0) {
    wr_call_error_set(&r->report.error, "", 0, "there is no generation to go back to");
  } else {
    wr_call_error_set(&r->report.error, "", 0,
                      "generation %llu is not kept: see `weir policy list`",
                      (unsigned long long)number);
  }
  r->stage = WR_RELOAD_IDLE;
  wr_verdict_notify(m, true);
  wr_verdict_tell(m, r->order, false, false);
  wr_order_free(r->order);
  r->order = NULL;
  wr_demand_go_on(m);
}

// A generation that was live before goes live again, as it was read then.
static void go_back(struct wr_master *m)
{
  struct wr_order *o = m->reload.order;
  const struct wr_past *past =
      o->number != 0 ? wr_history_past(&m->history, o->number) : wr_history_newest(&m->history);
  if (past != NULL) {
    use(m, past);
  } else if (o->number != 0 && o->number == m->live) {
    wr_reload_finish(m, true, false);
  } else {
    refuse(m);
  }
}

// The live one is quarantined, if no other has gone live since that was found.
static void restore(struct wr_master *m)
{
  const struct wr_past *past = wr_history_newest(&m->history);
  if (past != NULL) {
    use(m, past);
    return;
  }
  wr_log_text(&m->log, WR_LOG_ERROR, "policy.quarantine",
              "generation %llu stays: there is none to go back to", (unsigned long long)m->live);
  refuse(m);
}

static bool is_needless(const struct wr_master *m, const struct wr_order *o)
{
  return o->kind == WR_ORDER_RESTORE && wr_history_find(&m->history, m->live_report.hash) == NULL;
}

static void start(struct wr_master *m, struct wr_order *o)
{
  wr_reload_start(m, o);
  switch (o->kind) {
  case WR_ORDER_LOAD: load(m); break;
  case WR_ORDER_USE: go_back(m); break;
  case WR_ORDER_RESTORE: restore(m); break;
  }
}

static void on_again(struct wr_deferred *d)
{
  struct wr_reload *r = WR_CONTAINER(d, struct wr_reload, again);
  struct wr_master *m = WR_CONTAINER(r, struct wr_master, reload);
  if (r->stage != WR_RELOAD_IDLE || m->is_draining || wr_upgrade_is_exclusive(m)) return;
  struct wr_order *o = wr_orders_take(&r->orders);
  if (o == NULL) return;
  if (is_needless(m, o)) {
    wr_order_free(o); // nobody waits for these
    wr_demand_go_on(m);
  } else {
    start(m, o);
  }
}

void wr_demand_init(struct wr_master *m)
{
  wr_list_init(&m->reload.orders);
  wr_deferred_init(&m->reload.again, on_again);
  m->reload.bundle = -1;
}

// Whoever asks while weir stops gets an answer too, and a reload that did not happen is not
// counted.
static void refuse_orders(struct wr_master *m)
{
  struct wr_reload *r = &m->reload;
  struct wr_order *o;
  r->report = (struct wr_candidate_report){.stage = "stop"};
  wr_call_error_set(&r->report.error, "", 0, "weir is stopping");
  while ((o = wr_orders_take(&r->orders)) != NULL) {
    wr_verdict_tell(m, o, false, false);
    wr_order_free(o);
  }
}

// A canary gives way to whatever is asked for after it.
static void ask(struct wr_master *m)
{
  if (m->is_draining) {
    refuse_orders(m);
  } else if (m->reload.stage == WR_RELOAD_CANARY) {
    wr_reload_fail(m, "canary", "something else was asked for before its time was over");
  } else {
    wr_demand_go_on(m);
  }
}

void wr_demand_begin(struct wr_master *m)
{
  wr_orders_add(&m->reload.orders, WR_ORDER_LOAD);
  start(m, wr_orders_take(&m->reload.orders));
}

void wr_demand_load(struct wr_master *m, struct wr_admin_waiter *waiter,
                    const struct wr_demand_options *options)
{
  if (wr_upgrade_refuses(m, waiter)) return;
  bool is_joined = wr_orders_find(&m->reload.orders, WR_ORDER_LOAD) != NULL;
  struct wr_order *o = wr_orders_add(&m->reload.orders, WR_ORDER_LOAD);
  if (is_joined) wr_verdict_joined(m);
  o->is_forced |= options->is_forced;
  o->probation = options->probation;
  wr_order_wait(o, waiter);
  ask(m);
}

void wr_demand_use(struct wr_master *m, struct wr_admin_waiter *waiter, uint64_t number, bool force)
{
  if (wr_upgrade_refuses(m, waiter)) return;
  struct wr_order *o = wr_orders_add(&m->reload.orders, WR_ORDER_USE);
  o->number = number;
  o->is_forced = force;
  wr_order_wait(o, waiter);
  ask(m);
}

void wr_demand_abort(struct wr_master *m, struct wr_admin_waiter *waiter)
{
  struct wr_reload *r = &m->reload;
  if (r->stage != WR_RELOAD_CANARY) {
    wr_demand_use(m, waiter, 0, false);
    return;
  }
  struct wr_order *o = wr_orders_add(&r->orders, WR_ORDER_USE);
  o->number = m->live;
  wr_order_wait(o, waiter);
  if (r->order->probation.is_shadow) {
    wr_reload_end_shadow(m);
  } else {
    wr_reload_fail(m, "canary", "an operator rolled it back");
  }
}

void wr_demand_restore(struct wr_master *m)
{
  wr_orders_add(&m->reload.orders, WR_ORDER_RESTORE);
  ask(m);
}

void wr_demand_stop(struct wr_master *m)
{
  struct wr_reload *r = &m->reload;
  wr_timer_stop(&r->timer);
  if (r->stage == WR_RELOAD_COMMIT) {
    wr_reload_finish(m, true, true); // it is decided, even if a worker does not live to say so
  } else if (r->stage != WR_RELOAD_IDLE) {
    wr_reload_fail(m, "stop", "weir is stopping");
  }
  refuse_orders(m);
}
