// What the primitives' own states say: gauges and counters that are read, not written.

#include "base/check.h"
#include "observe/exposition.h"
#include "observe/metrics.h"
#include "observe/metrics_rows.h"

#include <stdatomic.h>

static bool copy_state(struct wr_registry *r, struct wr_entry *entry, uint64_t now_ns,
                       union wr_metrics_state *out)
{
  uint32_t generation = atomic_load(&entry->generation);
  if (!wr_registry_lock(r, entry, generation, now_ns)) return false;
  memcpy(out, entry->state, r->kinds[entry->kind]->state_size);
  wr_registry_unlock(r, entry);
  return true;
}

typedef bool (*row_fn)(union wr_metrics_state *s, uint64_t now_ns, int part,
                       struct wr_metrics_row *out);

static bool breaker_state(union wr_metrics_state *s, uint64_t now_ns, int part,
                          struct wr_metrics_row *out)
{
  if (part >= WR_BREAKER_STATES) return false;
  out->label = wr_breaker_state_name((enum wr_breaker_state)part);
  out->value = wr_breaker_state(&s->breaker, now_ns) == (enum wr_breaker_state)part;
  return true;
}

static bool breaker_calls(union wr_metrics_state *s, uint64_t now_ns, int part,
                          struct wr_metrics_row *out)
{
  (void)now_ns;
  const struct wr_breaker_counters *c = &s->breaker.counters;
  const struct wr_metrics_row rows[] = {
      {"successful", (double)c->successful},
      {"failed", (double)c->failed},
      {"slow", (double)c->slow},
      {"ignored", (double)c->ignored},
      {"cancelled", (double)c->cancelled},
      {"stale", (double)c->stale},
      {"not_permitted", (double)c->not_permitted},
      {"shadow_not_permitted", (double)c->shadow_not_permitted},
  };
  if (part >= (int)WR_COUNT(rows)) return false;
  *out = rows[part];
  return true;
}

static bool breaker_failures(union wr_metrics_state *s, uint64_t now_ns, int part,
                             struct wr_metrics_row *out)
{
  struct wr_breaker_stats stats;
  wr_breaker_stats(&s->breaker, now_ns, &stats);
  *out = (struct wr_metrics_row){NULL, stats.failure_rate};
  return part == 0;
}

static bool breaker_slow(union wr_metrics_state *s, uint64_t now_ns, int part,
                         struct wr_metrics_row *out)
{
  struct wr_breaker_stats stats;
  wr_breaker_stats(&s->breaker, now_ns, &stats);
  *out = (struct wr_metrics_row){NULL, stats.slow_rate};
  return part == 0;
}

static bool health_state(union wr_metrics_state *s, uint64_t now_ns, int part,
                         struct wr_metrics_row *out)
{
  (void)now_ns;
  if (part >= WR_HEALTH_VERDICTS) return false;
  enum wr_health_verdict verdict = (enum wr_health_verdict)part;
  *out = (struct wr_metrics_row){wr_health_verdict_name(verdict),
                                 wr_health_verdict(&s->health) == verdict};
  return true;
}

static bool health_checks(union wr_metrics_state *s, uint64_t now_ns, int part,
                          struct wr_metrics_row *out)
{
  (void)now_ns;
  const struct wr_metrics_row rows[] = {
      {"passed", (double)s->health.passed},
      {"failed", (double)s->health.failed},
      {"lost", (double)s->health.lost},
  };
  if (part >= (int)WR_COUNT(rows)) return false;
  *out = rows[part];
  return true;
}

static bool health_latency(union wr_metrics_state *s, uint64_t now_ns, int part,
                           struct wr_metrics_row *out)
{
  (void)now_ns;
  const struct wr_health_result *newest = wr_health_at(&s->health, 0);
  if (part > 0 || newest == NULL) return false;
  *out = (struct wr_metrics_row){NULL, newest->latency_us / 1e6};
  return true;
}

static bool flag_ratio(union wr_metrics_state *s, uint64_t now_ns, int part,
                       struct wr_metrics_row *out)
{
  (void)now_ns;
  *out = (struct wr_metrics_row){NULL, (double)wr_flag_share(&s->flag) / WR_FLAG_WHOLE};
  return part == 0;
}

static bool flag_overridden(union wr_metrics_state *s, uint64_t now_ns, int part,
                            struct wr_metrics_row *out)
{
  (void)now_ns;
  *out = (struct wr_metrics_row){NULL, s->flag.is_overridden};
  return part == 0;
}

static bool flag_evaluations(union wr_metrics_state *s, uint64_t now_ns, int part,
                             struct wr_metrics_row *out)
{
  (void)now_ns;
  if (part >= WR_FLAG_RESULTS) return false;
  out->label = wr_flag_result_name((enum wr_flag_result)part);
  out->value = (double)atomic_load_explicit(&s->flag.counts[part], memory_order_relaxed);
  return true;
}

static bool budget_remaining(union wr_metrics_state *s, uint64_t now_ns, int part,
                             struct wr_metrics_row *out)
{
  *out = (struct wr_metrics_row){NULL, wr_budget_remaining(&s->budget, now_ns)};
  return part == 0;
}

static bool budget_denied(union wr_metrics_state *s, uint64_t now_ns, int part,
                          struct wr_metrics_row *out)
{
  (void)now_ns;
  *out = (struct wr_metrics_row){NULL, (double)s->budget.denied};
  return part == 0;
}

static bool shedder_limit(union wr_metrics_state *s, uint64_t now_ns, int part,
                          struct wr_metrics_row *out)
{
  (void)now_ns;
  *out = (struct wr_metrics_row){NULL, (double)wr_shedder_limit(&s->shedder)};
  return part == 0;
}

static bool shedder_in_flight(union wr_metrics_state *s, uint64_t now_ns, int part,
                              struct wr_metrics_row *out)
{
  (void)now_ns;
  *out = (struct wr_metrics_row){NULL, (double)s->shedder.in_use};
  return part == 0;
}

static bool shedder_queue(union wr_metrics_state *s, uint64_t now_ns, int part,
                          struct wr_metrics_row *out)
{
  (void)now_ns;
  *out = (struct wr_metrics_row){NULL, (double)s->shedder.queued};
  return part == 0;
}

static bool shedder_latency(union wr_metrics_state *s, uint64_t now_ns, int part,
                            struct wr_metrics_row *out)
{
  (void)now_ns;
  *out = (struct wr_metrics_row){NULL, s->shedder.adaptive.latency_ns / 1e9};
  return part == 0;
}

static bool put_results(const uint64_t (*calls)[WR_PRIORITIES], int part,
                        struct wr_metrics_row *out)
{
  if (part >= WR_SHEDDER_RESULTS) return false;
  *out = (struct wr_metrics_row){wr_shedder_result_name((enum wr_shedder_result)part), 0};
  for (int i = 0; i < WR_PRIORITIES; i++) out->value += (double)calls[part][i];
  return true;
}

static bool shedder_calls(union wr_metrics_state *s, uint64_t now_ns, int part,
                          struct wr_metrics_row *out)
{
  (void)now_ns;
  return put_results(s->shedder.calls, part, out);
}

static bool shedder_shadow(union wr_metrics_state *s, uint64_t now_ns, int part,
                           struct wr_metrics_row *out)
{
  (void)now_ns;
  return put_results(s->shedder.shadow, part, out);
}

static bool shedder_shed(union wr_metrics_state *s, uint64_t now_ns, int part,
                         struct wr_metrics_row *out)
{
  (void)now_ns;
  if (part >= WR_PRIORITIES) return false;
  enum wr_priority priority = (enum wr_priority)part;
  *out = (struct wr_metrics_row){wr_priority_name(priority),
                                 (double)wr_shedder_shed(&s->shedder, priority)};
  return true;
}

static bool throttle_calls(union wr_metrics_state *s, uint64_t now_ns, int part,
                           struct wr_metrics_row *out)
{
  (void)now_ns;
  const struct wr_throttle_counters *c = &s->throttle.counters;
  const struct wr_metrics_row rows[] = {
      {"admitted", (double)c->admitted},
      {"refused", (double)c->refused},
      {"shadow_refused", (double)c->shadow_refused},
      {"accepted", (double)c->accepted},
      {"rejected", (double)c->rejected},
  };
  if (part >= (int)WR_COUNT(rows)) return false;
  *out = rows[part];
  return true;
}

static bool throttle_probability(union wr_metrics_state *s, uint64_t now_ns, int part,
                                 struct wr_metrics_row *out)
{
  *out = (struct wr_metrics_row){NULL, wr_throttle_probability(&s->throttle, now_ns)};
  return part == 0;
}

static bool hedge_calls(union wr_metrics_state *s, uint64_t now_ns, int part,
                        struct wr_metrics_row *out)
{
  (void)now_ns;
  const struct wr_hedge_counters *c = &s->hedge.counters;
  const struct wr_metrics_row rows[] = {
      {"calls", (double)c->calls},
      {"started_slow", (double)c->slow},
      {"started_failed", (double)c->failed},
      {"denied", (double)c->denied},
      {"denied_budget", (double)c->denied_budget},
      {"unsafe", (double)c->unsafe},
  };
  int end = part - (int)WR_COUNT(rows);
  if (end >= WR_HEDGE_ENDS) return false;
  if (end < 0) {
    *out = rows[part];
  } else {
    *out = (struct wr_metrics_row){wr_hedge_end_name((enum wr_hedge_end)end), (double)c->ends[end]};
  }
  return true;
}

static bool hedge_delay(union wr_metrics_state *s, uint64_t now_ns, int part,
                        struct wr_metrics_row *out)
{
  uint64_t delay_ns = wr_hedge_delay(&s->hedge, now_ns);
  *out = (struct wr_metrics_row){NULL, delay_ns == WR_HEDGE_NEVER ? 0 : (double)delay_ns / 1e9};
  return part == 0;
}

static bool hedge_load(union wr_metrics_state *s, uint64_t now_ns, int part,
                       struct wr_metrics_row *out)
{
  *out = (struct wr_metrics_row){NULL, wr_hedge_load(&s->hedge, now_ns)};
  return part == 0;
}

// Events of a cache from `first` on, under their own names, or as others call them.
static bool cache_events(const union wr_metrics_state *s, int part, enum wr_cache_event first,
                         struct wr_metrics_row *out)
{
  enum wr_cache_event event = (enum wr_cache_event)((int)first + part);
  *out = (struct wr_metrics_row){wr_cache_event_name(event), (double)s->cache.space.events[event]};
  return true;
}

static bool cache_requests(union wr_metrics_state *s, uint64_t now_ns, int part,
                           struct wr_metrics_row *out)
{
  (void)now_ns;
  return part <= WR_CACHE_NEGATIVE - WR_CACHE_HIT && cache_events(s, part, WR_CACHE_HIT, out);
}

static bool cache_refreshes(union wr_metrics_state *s, uint64_t now_ns, int part,
                            struct wr_metrics_row *out)
{
  (void)now_ns;
  if (part > 1 || !cache_events(s, part, WR_CACHE_REFRESHED, out)) return false;
  out->label = part == 0 ? "ok" : "failed";
  return true;
}

static bool cache_stores(union wr_metrics_state *s, uint64_t now_ns, int part,
                         struct wr_metrics_row *out)
{
  (void)now_ns;
  return part <= WR_CACHE_PURGED - WR_CACHE_STORED && cache_events(s, part, WR_CACHE_STORED, out);
}

static bool cache_waiting(union wr_metrics_state *s, uint64_t now_ns, int part,
                          struct wr_metrics_row *out)
{
  (void)now_ns;
  *out = (struct wr_metrics_row){NULL, (double)s->cache.flight.followers};
  return part == 0;
}

static bool chaos_armed(union wr_metrics_state *s, uint64_t now_ns, int part,
                        struct wr_metrics_row *out)
{
  *out = (struct wr_metrics_row){NULL, wr_chaos_is_armed(&s->chaos, now_ns)};
  return part == 0;
}

static bool chaos_calls(union wr_metrics_state *s, uint64_t now_ns, int part,
                        struct wr_metrics_row *out)
{
  (void)now_ns;
  const struct wr_metrics_row rows[] = {
      {"met", (double)s->chaos.seen},
      {"injected", (double)s->chaos.injected},
  };
  if (part >= (int)WR_COUNT(rows)) return false;
  *out = rows[part];
  return true;
}

// Which families primitives fill, and their second label.
static const struct {
  enum wr_metric metric;
  enum wr_kind kind;
  const char *label;
  row_fn read;
} tables[] = {
    {WR_METRIC_BREAKER_STATE, WR_KIND_BREAKER, "state", breaker_state},
    {WR_METRIC_BREAKER_CALLS, WR_KIND_BREAKER, "kind", breaker_calls},
    {WR_METRIC_BREAKER_FAILURE_RATIO, WR_KIND_BREAKER, NULL, breaker_failures},
    {WR_METRIC_BREAKER_SLOW_RATIO, WR_KIND_BREAKER, NULL, breaker_slow},
    {WR_METRIC_HEALTH_STATE, WR_KIND_HEALTH, "state", health_state},
    {WR_METRIC_HEALTH_CHECKS, WR_KIND_HEALTH, "result", health_checks},
    {WR_METRIC_HEALTH_LATENCY, WR_KIND_HEALTH, NULL, health_latency},
    {WR_METRIC_FLAG_RATIO, WR_KIND_FLAG, NULL, flag_ratio},
    {WR_METRIC_FLAG_OVERRIDDEN, WR_KIND_FLAG, NULL, flag_overridden},
    {WR_METRIC_FLAG_EVALUATIONS, WR_KIND_FLAG, "result", flag_evaluations},
    {WR_METRIC_BULKHEAD_AVAILABLE, WR_KIND_BULKHEAD, NULL, wr_metrics_rows_bulkhead_available},
    {WR_METRIC_BULKHEAD_MAX, WR_KIND_BULKHEAD, NULL, wr_metrics_rows_bulkhead_max},
    {WR_METRIC_BULKHEAD_QUEUE, WR_KIND_BULKHEAD, NULL, wr_metrics_rows_bulkhead_queue},
    {WR_METRIC_BULKHEAD_KEYS, WR_KIND_BULKHEAD, NULL, wr_metrics_rows_bulkhead_keys},
    {WR_METRIC_BULKHEAD_SHARED, WR_KIND_BULKHEAD, NULL, wr_metrics_rows_bulkhead_shared},
    {WR_METRIC_BULKHEAD_CALLS, WR_KIND_BULKHEAD, "kind", wr_metrics_rows_bulkhead_calls},
    {WR_METRIC_CACHE_REQUESTS, WR_KIND_CACHE, "status", cache_requests},
    {WR_METRIC_CACHE_REFRESHES, WR_KIND_CACHE, "result", cache_refreshes},
    {WR_METRIC_CACHE_STORES, WR_KIND_CACHE, "result", cache_stores},
    {WR_METRIC_CACHE_WAITING, WR_KIND_CACHE, NULL, cache_waiting},
    {WR_METRIC_BUDGET_REMAINING, WR_KIND_BUDGET, NULL, budget_remaining},
    {WR_METRIC_BUDGET_DENIED, WR_KIND_BUDGET, NULL, budget_denied},
    {WR_METRIC_LIMITER_CALLS, WR_KIND_LIMITER, "kind", wr_metrics_rows_limiter_calls},
    {WR_METRIC_LIMITER_WAITING, WR_KIND_LIMITER, NULL, wr_metrics_rows_limiter_waiting},
    {WR_METRIC_LIMITER_AVAILABLE, WR_KIND_LIMITER, NULL, wr_metrics_rows_limiter_available},
    {WR_METRIC_LIMITER_KEYS, WR_KIND_LIMITER, NULL, wr_metrics_rows_limiter_keys},
    {WR_METRIC_LIMITER_SHARED, WR_KIND_LIMITER, NULL, wr_metrics_rows_limiter_shared},
    {WR_METRIC_LEASE_HELD, WR_KIND_LEASE, NULL, wr_metrics_rows_lease_held},
    {WR_METRIC_LEASE_OVERDUE, WR_KIND_LEASE, NULL, wr_metrics_rows_lease_overdue},
    {WR_METRIC_LEASE_RUNS, WR_KIND_LEASE, "kind", wr_metrics_rows_lease_runs},
    {WR_METRIC_SHEDDER_LIMIT, WR_KIND_SHEDDER, NULL, shedder_limit},
    {WR_METRIC_SHEDDER_IN_FLIGHT, WR_KIND_SHEDDER, NULL, shedder_in_flight},
    {WR_METRIC_SHEDDER_QUEUE, WR_KIND_SHEDDER, NULL, shedder_queue},
    {WR_METRIC_SHEDDER_LATENCY, WR_KIND_SHEDDER, NULL, shedder_latency},
    {WR_METRIC_SHEDDER_CALLS, WR_KIND_SHEDDER, "kind", shedder_calls},
    {WR_METRIC_SHEDDER_SHADOW, WR_KIND_SHEDDER, "kind", shedder_shadow},
    {WR_METRIC_SHEDDER_SHED, WR_KIND_SHEDDER, "priority", shedder_shed},
    {WR_METRIC_THROTTLE_CALLS, WR_KIND_THROTTLE, "kind", throttle_calls},
    {WR_METRIC_CHAOS_ARMED, WR_KIND_CHAOS, NULL, chaos_armed},
    {WR_METRIC_CHAOS_CALLS, WR_KIND_CHAOS, "kind", chaos_calls},
    {WR_METRIC_THROTTLE_PROBABILITY, WR_KIND_THROTTLE, NULL, throttle_probability},
    {WR_METRIC_HEDGE_CALLS, WR_KIND_HEDGE, "kind", hedge_calls},
    {WR_METRIC_HEDGE_DELAY, WR_KIND_HEDGE, NULL, hedge_delay},
    {WR_METRIC_HEDGE_LOAD, WR_KIND_HEDGE, NULL, hedge_load},
};

// The name as a label value; names hold no control characters, but may hold quotes.
static bool put_name(struct wr_buf *out, const char *name)
{
  bool ok = true;
  for (; ok && *name; name++) {
    if (*name == '"' || *name == '\\') ok = wr_buf_append(out, "\\", 1);
    ok = ok && wr_buf_append(out, name, 1);
  }
  return ok;
}

static bool put_entry(struct wr_buf *out, size_t table, const struct wr_entry *entry,
                      union wr_metrics_state *state, uint64_t now_ns)
{
  const char *name = wr_exposition_name(tables[table].metric);
  struct wr_metrics_row row;
  bool ok = true;
  for (int part = 0; ok && tables[table].read(state, now_ns, part, &row); part++) {
    ok = wr_buf_printf(out, "%s{name=\"", name) && put_name(out, entry->name) &&
         wr_buf_append(out, "\"", 1);
    if (ok && tables[table].label) {
      ok = wr_buf_printf(out, ",%s=\"%s\"", tables[table].label, row.label);
    }
    ok = ok && wr_buf_append(out, "} ", 2);
    ok = ok && wr_exposition_number(out, row.value);
  }
  return ok;
}

static bool put_table(struct wr_registry *r, uint64_t now_ns, struct wr_buf *out, size_t table)
{
  enum wr_metric metric = tables[table].metric;
  struct wr_entry *entry;
  uint32_t at = 0;
  bool ok = wr_exposition_family(out, metric);
  while (ok && (entry = wr_registry_each(r, &at)) != NULL) {
    union wr_metrics_state state;
    if (entry->kind != tables[table].kind || !copy_state(r, entry, now_ns, &state)) continue;
    ok = put_entry(out, table, entry, &state, now_ns);
  }
  return ok;
}

bool wr_metrics_primitives(struct wr_registry *r, uint64_t now_ns, struct wr_buf *out)
{
  bool ok = true;
  for (size_t i = 0; ok && i < WR_COUNT(tables); i++) ok = put_table(r, now_ns, out, i);
  return ok;
}

bool wr_metrics_is_of_primitives(enum wr_metric metric)
{
  for (size_t i = 0; i < WR_COUNT(tables); i++) {
    if (tables[i].metric == metric) return true;
  }
  return false;
}
