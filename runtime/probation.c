#include "probation.h"

#include "fleet.h"
#include "reload.h"
#include "script/guard_shadow.h"

#include <stdatomic.h>
#include <stdio.h>

enum { TEXT_MAX = 400 };

// --- counting -----------------------------------------------------------------------------------

// Of all workers together.
struct sum {
  uint64_t ends[WR_TALLY_ENDS];
  uint64_t latencies[WR_TALLY_LATENCIES];
};

static void add(struct sum *sum, const struct wr_tally *t)
{
  for (size_t i = 0; i < WR_TALLY_ENDS; i++) {
    sum->ends[i] += atomic_load_explicit(&t->ends[i], memory_order_relaxed);
  }
  for (size_t i = 0; i < WR_TALLY_LATENCIES; i++) {
    sum->latencies[i] += atomic_load_explicit(&t->latencies[i], memory_order_relaxed);
  }
}

static struct sum sum_of(const struct wr_master *m, uint64_t number)
{
  struct sum sum = {0};
  for (uint32_t i = 0; i < m->settings->workers; i++) {
    const struct wr_slot *slot = wr_slot_of(&m->arena, m->workers[i].slot);
    for (size_t k = 0; k < WR_TALLY_ROWS; k++) {
      const struct wr_tally *t = &slot->tallies[k];
      if (atomic_load_explicit(&t->number, memory_order_acquire) == number) add(&sum, t);
    }
  }
  return sum;
}

// The first bucket that only slow requests reach: at most one in twenty of these.
static size_t slow_bucket(const struct sum *sum, uint64_t requests)
{
  uint64_t beyond = 0;
  size_t bucket = WR_TALLY_LATENCIES;
  while (bucket > 0 && (beyond += sum->latencies[bucket - 1]) * 20 <= requests) bucket--;
  return bucket;
}

static struct wr_comparison_group group_of(const struct sum *sum)
{
  struct wr_comparison_group g = {0};
  for (size_t i = 0; i < WR_TALLY_ENDS; i++) g.requests += sum->ends[i];
  g.bad[WR_COMPARISON_RAISED] = sum->ends[WR_TALLY_RAISED];
  g.bad[WR_COMPARISON_FAILED] = sum->ends[WR_TALLY_FAILED];
  g.bad[WR_COMPARISON_REFUSED] = sum->ends[WR_TALLY_REFUSED];
  return g;
}

static void count_slow(struct wr_comparison_group *g, const struct sum *sum, size_t bucket)
{
  uint64_t slow = 0;
  for (size_t i = bucket; i < WR_TALLY_LATENCIES; i++) slow += sum->latencies[i];
  // A bucket may be counted before its end is: they are two stores.
  g->bad[WR_COMPARISON_SLOW] = slow < g->requests ? slow : g->requests;
}

static void read_groups(struct wr_master *m)
{
  struct wr_comparison_group *canary = &m->reload.canary;
  struct wr_comparison_group *baseline = &m->reload.baseline;
  struct sum ours = sum_of(m, m->reload.number);
  struct sum theirs = sum_of(m, m->live);
  *canary = group_of(&ours);
  *baseline = group_of(&theirs);
  size_t bucket = slow_bucket(&theirs, baseline->requests);
  count_slow(canary, &ours, bucket);
  count_slow(baseline, &theirs, bucket);
}

// --- beginning ----------------------------------------------------------------------------------

void wr_probation_join(struct wr_master_worker *w)
{
  const struct wr_reload *r = &w->master->reload;
  if (r->order->probation.is_shadow) return; // it is one since it was loaded
  const struct wr_canary_plan *plan = &r->order->probation.canary;
  struct wr_str payload = {(const char *)plan, sizeof(*plan)};
  wr_fleet_send(w, WR_WORKER_CANARY, r->number, payload, -1);
}

void wr_probation_begin(struct wr_master *m)
{
  struct wr_reload *r = &m->reload;
  r->stage = WR_RELOAD_CANARY;
  r->is_promoted = false;
  r->until_ns = wr_loop_now(&m->loop) + r->order->probation.for_ns;
  for (uint32_t i = 0; i < m->settings->workers; i++) wr_probation_join(&m->workers[i]);
  bool is_shadow = r->order->probation.is_shadow;
  const char *event = is_shadow ? "reload.shadow" : "reload.canary";
  struct wr_json *j = wr_log_begin(&m->log, WR_LOG_INFO, event);
  if (j == NULL) return;
  wr_json_field_uint(j, "generation", r->number);
  double share = (double)r->order->probation.canary.share / WR_CANARY_WHOLE;
  if (!is_shadow) wr_json_field_num(j, "share", share);
  wr_json_field_num(j, "for_s", (double)r->order->probation.for_ns / 1e9);
  wr_log_end(&m->log);
}

// --- ending -------------------------------------------------------------------------------------

static bool is_on(const struct wr_master *m)
{
  return m->reload.stage == WR_RELOAD_CANARY;
}

static void give_up(struct wr_master *m, const char *reason)
{
  wr_reload_fail(m, "canary", reason);
}

static void give_up_worse(struct wr_master *m, const struct wr_comparison *c)
{
  const struct wr_reload *r = &m->reload;
  char text[TEXT_MAX];
  snprintf(text, sizeof(text),
           "%.2f %% of its %llu requests %s, and %.2f %% of the %llu of generation %llu "
           "(by chance: %.1g)",
           c->canary * 100, (unsigned long long)r->canary.requests,
           wr_comparison_measure_name(c->measure), c->baseline * 100,
           (unsigned long long)r->baseline.requests, (unsigned long long)m->live, c->chance);
  give_up(m, text);
}

static void give_up_unknown(struct wr_master *m, uint64_t requests)
{
  char text[TEXT_MAX];
  snprintf(text, sizeof(text),
           "it served %llu requests, and %d are needed to judge it: give it a larger share, or "
           "longer",
           (unsigned long long)requests, WR_PROBATION_REQUESTS_MIN);
  give_up(m, text);
}

static void tick_shadow(struct wr_master *m)
{
  bool is_over = wr_loop_now(&m->loop) >= m->reload.until_ns;
  if (is_over) wr_reload_end_shadow(m);
}

static void tick_canary(struct wr_master *m)
{
  struct wr_reload *r = &m->reload;
  read_groups(m);
  struct wr_comparison c = wr_comparison_judge(&r->canary, &r->baseline);
  bool is_judged = !r->is_promoted; // whoever wants it now wants it whatever was counted
  if (is_judged && c.is_worse) {
    give_up_worse(m, &c);
  } else if (is_judged && wr_loop_now(&m->loop) < r->until_ns) {
    return;
  } else if (is_judged && r->canary.requests < WR_PROBATION_REQUESTS_MIN) {
    give_up_unknown(m, r->canary.requests);
  } else {
    wr_reload_promote(m);
  }
}

void wr_probation_tick(struct wr_master *m)
{
  if (!is_on(m)) return;
  if (m->reload.order->probation.is_shadow) {
    tick_shadow(m);
  } else {
    tick_canary(m);
  }
}

void wr_probation_strike(struct wr_master *m, const char *what)
{
  char text[TEXT_MAX];
  snprintf(text, sizeof(text), "a worker died inside its scripts: %s", what);
  give_up(m, text);
}

bool wr_probation_promote(struct wr_master *m, struct wr_admin_waiter *waiter)
{
  if (!is_on(m) || m->reload.order->probation.is_shadow) return false;
  m->reload.is_promoted = true;
  wr_order_wait(m->reload.order, waiter);
  wr_probation_tick(m);
  return true;
}

// --- telling ------------------------------------------------------------------------------------

static void write_group(struct wr_json *j, const char *key, const struct wr_comparison_group *g)
{
  wr_json_key(j, key);
  wr_json_object(j);
  wr_json_field_uint(j, "requests", g->requests);
  wr_json_field_uint(j, "raised", g->bad[WR_COMPARISON_RAISED]);
  wr_json_field_uint(j, "failed", g->bad[WR_COMPARISON_FAILED]);
  wr_json_field_uint(j, "refused", g->bad[WR_COMPARISON_REFUSED]);
  wr_json_field_uint(j, "slow", g->bad[WR_COMPARISON_SLOW]);
  wr_json_object_end(j);
}

// One primitive of the shadow: what it was asked, and where it decided otherwise.
static void write_shadowed(const struct wr_entry *e, struct wr_str name, struct wr_json *j)
{
  wr_json_object(j);
  wr_json_field_cstr(j, "kind", wr_registry_kind_name((enum wr_kind)e->kind));
  wr_json_field_str(j, "name", name);
  wr_json_field_uint(j, "asked", atomic_load(&e->shadow_asked));
  wr_json_field_uint(j, "stricter", atomic_load(&e->shadow_stricter));
  wr_json_field_uint(j, "looser", atomic_load(&e->shadow_looser));
  wr_json_object_end(j);
}

static void write_shadow(struct wr_master *m, struct wr_json *j)
{
  char mark[48];
  uint32_t at = 0;
  struct wr_entry *e;
  snprintf(mark, sizeof(mark), WR_GUARD_SHADOW_MARK "%llu)", (unsigned long long)m->reload.number);
  wr_json_key(j, "decisions");
  wr_json_array(j);
  while ((e = wr_registry_each(&m->registry, &at)) != NULL) {
    struct wr_str name = wr_guard_shadow_of(e);
    if (name.ptr != NULL && strcmp(name.ptr + name.len, mark) == 0) write_shadowed(e, name, j);
  }
  wr_json_array_end(j);
}

void wr_probation_write(struct wr_master *m, struct wr_json *j)
{
  if (m->reload.order->probation.is_shadow) {
    write_shadow(m, j);
    return;
  }
  write_group(j, "canary", &m->reload.canary);
  write_group(j, "baseline", &m->reload.baseline);
}
