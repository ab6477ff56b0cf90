#include "observe/metrics.h"

#include "arena/cache.h"
#include "arena/series.h"
#include "base/check.h"
#include "resilience/breaker.h"
#include "resilience/budget.h"
#include "resilience/bulkhead.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>

static const char *const types[] = {"counter", "gauge", "histogram"};

static bool put_number(struct wr_buf *out, double value)
{
  if (isnan(value)) return wr_buf_printf(out, "NaN\n");
  if (isinf(value)) return wr_buf_printf(out, value > 0 ? "+Inf\n" : "-Inf\n");
  if (value == floor(value) && fabs(value) < 1e15) return wr_buf_printf(out, "%.0f\n", value);
  return wr_buf_printf(out, "%.9g\n", value);
}

static bool put_header(struct wr_buf *out, const char *name, const char *help, const char *type)
{
  return wr_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

// --- series -------------------------------------------------------------------------------------

static bool put_histogram(struct wr_buf *out, const struct wr_arena *a,
                          const struct wr_series_view *view)
{
  const struct wr_family *f = view->family;
  struct wr_series_histogram h;
  wr_series_read(a, view->series, &h);
  const char *comma = view->labels.len > 0 ? "," : "";
  bool ok = true;
  for (uint32_t i = 0; ok && i < f->bucket_count; i++) {
    ok = wr_buf_printf(out, "%s_bucket{%.*s%sle=\"%g\"} %llu\n", f->name, WR_STR_ARG(view->labels),
                       comma, f->buckets[i], (unsigned long long)h.cumulative[i]);
  }
  ok = ok && wr_buf_printf(out, "%s_bucket{%.*s%sle=\"+Inf\"} %llu\n", f->name,
                           WR_STR_ARG(view->labels), comma, (unsigned long long)h.count);
  const char *open = view->labels.len > 0 ? "{" : "";
  const char *close = view->labels.len > 0 ? "}" : "";
  return ok &&
         wr_buf_printf(out, "%s_sum%s%.*s%s %.9g\n", f->name, open, WR_STR_ARG(view->labels), close,
                       h.sum) &&
         wr_buf_printf(out, "%s_count%s%.*s%s %llu\n", f->name, open, WR_STR_ARG(view->labels),
                       close, (unsigned long long)h.count);
}

static bool put_value(struct wr_buf *out, const struct wr_arena *a,
                      const struct wr_series_view *view)
{
  const char *format = view->labels.len > 0 ? "%s{%.*s} " : "%s%.*s ";
  return wr_buf_printf(out, format, view->family->name, WR_STR_ARG(view->labels)) &&
         put_number(out, wr_series_value(a, view->series));
}

static bool put_series(struct wr_buf *out, const struct wr_arena *a)
{
  struct wr_series_view view = {0};
  const struct wr_family *last = NULL;
  bool ok = true;
  while (ok && wr_series_next(a, &view)) {
    const struct wr_family *f = view.family;
    WR_CHECK(f != NULL);
    if (f != last) ok = put_header(out, f->name, f->help, types[f->type]);
    last = f;
    ok = ok &&
         (f->type == WR_SERIES_HISTOGRAM ? put_histogram(out, a, &view) : put_value(out, a, &view));
  }
  return ok;
}

// --- primitives ---------------------------------------------------------------------------------

// What is read from a primitive: a copy, taken under its lock.
union state {
  struct wr_breaker breaker;
  struct wr_bulkhead bulkhead;
  struct wr_budget budget;
};

static bool copy_state(struct wr_registry *r, struct wr_entry *entry, uint64_t now_ns,
                       union state *out)
{
  uint32_t generation = atomic_load(&entry->generation);
  if (!wr_registry_lock(r, entry, generation, now_ns)) return false;
  memcpy(out, entry->state, r->kinds[entry->kind]->state_size);
  wr_registry_unlock(r, entry);
  return true;
}

// One value of one primitive. `part` numbers the series of a family; false past its last.
struct row {
  const char *label; ///< its second label's value, NULL without one
  double value;
};

typedef bool (*row_fn)(union state *s, uint64_t now_ns, int part, struct row *out);

static bool breaker_state(union state *s, uint64_t now_ns, int part, struct row *out)
{
  if (part >= WR_BREAKER_STATES) return false;
  out->label = wr_breaker_state_name((enum wr_breaker_state)part);
  out->value = wr_breaker_state(&s->breaker, now_ns) == (enum wr_breaker_state)part;
  return true;
}

static bool breaker_calls(union state *s, uint64_t now_ns, int part, struct row *out)
{
  (void)now_ns;
  const struct wr_breaker_counters *c = &s->breaker.counters;
  const struct row rows[] = {
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

static bool breaker_failures(union state *s, uint64_t now_ns, int part, struct row *out)
{
  struct wr_breaker_stats stats;
  wr_breaker_stats(&s->breaker, now_ns, &stats);
  *out = (struct row){NULL, stats.failure_rate};
  return part == 0;
}

static bool breaker_slow(union state *s, uint64_t now_ns, int part, struct row *out)
{
  struct wr_breaker_stats stats;
  wr_breaker_stats(&s->breaker, now_ns, &stats);
  *out = (struct row){NULL, stats.slow_rate};
  return part == 0;
}

static bool bulkhead_available(union state *s, uint64_t now_ns, int part, struct row *out)
{
  (void)now_ns;
  const struct wr_bulkhead *b = &s->bulkhead;
  double left = (double)b->config.max - (double)b->in_use;
  *out = (struct row){NULL, left > 0 ? left : 0};
  return part == 0;
}

static bool bulkhead_max(union state *s, uint64_t now_ns, int part, struct row *out)
{
  (void)now_ns;
  *out = (struct row){NULL, (double)s->bulkhead.config.max};
  return part == 0;
}

static bool bulkhead_queue(union state *s, uint64_t now_ns, int part, struct row *out)
{
  (void)now_ns;
  *out = (struct row){NULL, (double)s->bulkhead.queued};
  return part == 0;
}

static bool bulkhead_calls(union state *s, uint64_t now_ns, int part, struct row *out)
{
  (void)now_ns;
  const struct wr_bulkhead_counters *c = &s->bulkhead.counters;
  const struct row rows[] = {
      {"admitted", (double)c->admitted},
      {"queued", (double)c->queued},
      {"refused_full", (double)c->refused_full},
      {"refused_queue_full", (double)c->refused_queue_full},
      {"expired", (double)c->expired},
      {"cancelled", (double)c->left},
      {"shadow_refused", (double)c->shadow_refused},
  };
  if (part >= (int)WR_COUNT(rows)) return false;
  *out = rows[part];
  return true;
}

static bool budget_remaining(union state *s, uint64_t now_ns, int part, struct row *out)
{
  *out = (struct row){NULL, wr_budget_remaining(&s->budget, now_ns)};
  return part == 0;
}

static bool budget_denied(union state *s, uint64_t now_ns, int part, struct row *out)
{
  (void)now_ns;
  *out = (struct row){NULL, (double)s->budget.denied};
  return part == 0;
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
    {WR_METRIC_BULKHEAD_AVAILABLE, WR_KIND_BULKHEAD, NULL, bulkhead_available},
    {WR_METRIC_BULKHEAD_MAX, WR_KIND_BULKHEAD, NULL, bulkhead_max},
    {WR_METRIC_BULKHEAD_QUEUE, WR_KIND_BULKHEAD, NULL, bulkhead_queue},
    {WR_METRIC_BULKHEAD_CALLS, WR_KIND_BULKHEAD, "kind", bulkhead_calls},
    {WR_METRIC_BUDGET_REMAINING, WR_KIND_BUDGET, NULL, budget_remaining},
    {WR_METRIC_BUDGET_DENIED, WR_KIND_BUDGET, NULL, budget_denied},
};

static const struct {
  const char *name;
  const char *type;
  const char *help;
} families[WR_METRICS] = {
#define COUNTER "counter"
#define GAUGE "gauge"
#define GAUGE_MAX "gauge"
#define SECONDS "histogram"
#define BYTES "histogram"
#define WR_METRIC(ENUM, name, type, help) [WR_METRIC_##ENUM] = {name, type, help},
#include "tables/metrics.def"
#undef WR_METRIC
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
                      union state *state, uint64_t now_ns)
{
  const char *name = families[tables[table].metric].name;
  struct row row;
  bool ok = true;
  for (int part = 0; ok && tables[table].read(state, now_ns, part, &row); part++) {
    ok = wr_buf_printf(out, "%s{name=\"", name) && put_name(out, entry->name) &&
         wr_buf_append(out, "\"", 1);
    if (ok && tables[table].label) {
      ok = wr_buf_printf(out, ",%s=\"%s\"", tables[table].label, row.label);
    }
    ok = ok && wr_buf_append(out, "} ", 2);
    ok = ok && put_number(out, row.value);
  }
  return ok;
}

static bool put_table(struct wr_registry *r, uint64_t now_ns, struct wr_buf *out, size_t table)
{
  enum wr_metric metric = tables[table].metric;
  struct wr_entry *entry;
  uint32_t at = 0;
  bool is_first = true;
  bool ok = true;
  while (ok && (entry = wr_registry_each(r, &at)) != NULL) {
    union state state;
    if (entry->kind != tables[table].kind || !copy_state(r, entry, now_ns, &state)) continue;
    if (is_first) {
      ok = put_header(out, families[metric].name, families[metric].help, families[metric].type);
    }
    is_first = false;
    ok = ok && put_entry(out, table, entry, &state, now_ns);
  }
  return ok;
}

static bool put_plain(struct wr_buf *out, enum wr_metric metric, uint64_t value)
{
  return put_header(out, families[metric].name, families[metric].help, families[metric].type) &&
         wr_buf_printf(out, "%s %llu\n", families[metric].name, (unsigned long long)value);
}

static bool put_cache(struct wr_buf *out, struct wr_arena *a)
{
  struct wr_cache_stats stats;
  wr_cache_stats(a, &stats);
  return put_plain(out, WR_METRIC_CACHE_BYTES, stats.bytes_used) &&
         put_plain(out, WR_METRIC_CACHE_ITEMS, stats.items) &&
         put_plain(out, WR_METRIC_CACHE_EVICTIONS, stats.evictions);
}

bool wr_metrics_write(struct wr_registry *r, uint64_t now_ns, struct wr_buf *out)
{
  bool ok = put_series(out, r->arena);
  for (size_t i = 0; ok && i < WR_COUNT(tables); i++) ok = put_table(r, now_ns, out, i);
  return ok && put_cache(out, r->arena);
}
