#include "strike.h"

#include "demand.h"
#include "probation.h"
#include "reload.h"

#include <stdio.h>

static uint64_t script_of(const struct wr_slot *slot)
{
  return atomic_load_explicit(&slot->script, memory_order_relaxed);
}

void wr_strike_describe(const struct wr_master_worker *w, struct wr_json *j)
{
  const struct wr_slot *slot = wr_slot_of(&w->master->arena, w->slot);
  uint64_t script = script_of(slot);
  if (script == 0) return;
  wr_json_field_uint(j, "generation", script);
  wr_json_field_cstr(j, "request", slot->request);
  wr_json_field_cstr(j, "route", slot->route);
}

static void log_strike(struct wr_master_worker *w, const char *cause, size_t count)
{
  struct wr_json *j = wr_log_begin(&w->master->log, WR_LOG_ERROR, "policy.strike");
  if (j == NULL) return;
  wr_json_field_uint(j, "slot", w->slot);
  wr_json_field_cstr(j, "cause", cause);
  wr_strike_describe(w, j);
  wr_json_field_uint(j, "strikes", count);
  wr_log_end(&w->master->log);
}

static void quarantine(struct wr_master_worker *w, const char *cause)
{
  struct wr_master *m = w->master;
  const struct wr_slot *slot = wr_slot_of(&m->arena, w->slot);
  struct wr_quarantine *q =
      wr_history_quarantine(&m->history, m->live_report.hash, wr_loop_now(&m->loop));
  q->number = m->live;
  snprintf(q->why, sizeof(q->why), "%s at %s, request %s", cause, slot->route,
           slot->request[0] ? slot->request : "none");
  wr_meter_add(&m->meter, WR_METRIC_POLICY_QUARANTINES, 1, NULL);
  wr_log_text(
      &m->log, WR_LOG_ERROR, "policy.quarantine",
      "generation %llu has %d strikes in 60 s and is quarantined: the one before comes back",
      (unsigned long long)m->live, WR_HISTORY_STRIKES_MAX);
  wr_demand_restore(m);
}

// A canary needs no second one.
static void probe(struct wr_master_worker *w, const char *cause)
{
  const struct wr_slot *slot = wr_slot_of(&w->master->arena, w->slot);
  char text[WR_HISTORY_WHY_MAX];
  snprintf(text, sizeof(text), "%s at %s, request %s", cause, slot->route,
           slot->request[0] ? slot->request : "none");
  wr_probation_strike(w->master, text);
}

void wr_strike_on_death(struct wr_master_worker *w)
{
  struct wr_master *m = w->master;
  uint64_t script = script_of(wr_slot_of(&m->arena, w->slot));
  if (script == 0 || m->is_draining) return;
  const char *cause = w->is_aborted ? "stuck" : "signal";
  uint64_t now = wr_loop_now(&m->loop);
  // One that drains already is nothing to go back from.
  bool is_live = script == m->live;
  bool is_out = is_live && wr_history_strike(&m->history, now);
  wr_meter_add(&m->meter, WR_METRIC_POLICY_STRIKES, 1, "cause", cause, NULL);
  log_strike(w, cause, wr_history_strikes(&m->history, now));
  if (is_out) quarantine(w, cause);
  if (m->reload.stage == WR_RELOAD_CANARY && script == m->reload.number) probe(w, cause);
}

bool wr_strike_bars(struct wr_master *m)
{
  struct wr_reload *r = &m->reload;
  char text[WR_SCRIPT_MESSAGE_MAX];
  if (r->order->is_forced) wr_history_pardon(&m->history, r->report.hash);
  uint64_t now = wr_loop_now(&m->loop);
  if (!wr_history_refuses(&m->history, r->report.hash, now, text)) return false;
  wr_reload_fail(m, "quarantine", text);
  return true;
}
