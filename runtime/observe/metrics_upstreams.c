// What rosters say of upstreams and of each of their endpoints.

#include "base/alloc.h"
#include "base/check.h"
#include "observe/exposition.h"
#include "observe/metrics.h"
#include "upstream/roster.h"

#include <stdatomic.h>

// A copy of a roster, taken under its lock: pages of metrics are written at leisure.
static struct wr_roster *copy_roster(struct wr_registry *r, struct wr_entry *entry, uint64_t now_ns)
{
  if (entry->kind != WR_KIND_UPSTREAM) return NULL;
  if (!wr_registry_lock(r, entry, atomic_load(&entry->generation), now_ns)) return NULL;
  const struct wr_roster *state = entry->state;
  size_t bytes = wr_roster_bytes(&(struct wr_roster_config){.capacity = state->capacity});
  struct wr_roster *copy = wr_alloc(bytes);
  memcpy(copy, state, bytes);
  wr_registry_unlock(r, entry);
  return copy;
}

// A label's value: names and URLs hold no control characters, but may hold quotes.
static bool put_text(struct wr_buf *out, const char *text)
{
  bool ok = true;
  for (; ok && *text; text++) {
    if (*text == '"' || *text == '\\') ok = wr_buf_append(out, "\\", 1);
    ok = ok && wr_buf_append(out, text, 1);
  }
  return ok;
}

// One line: {upstream="name"[,label="value"]} number.
struct line {
  enum wr_metric metric;
  const char *upstream, *label, *value;
  double number;
};

static bool put_line(struct wr_buf *out, const struct line *l)
{
  bool ok = wr_buf_printf(out, "%s{upstream=\"", wr_exposition_name(l->metric)) &&
            put_text(out, l->upstream) && wr_buf_append(out, "\"", 1);
  if (l->label) {
    ok = ok && wr_buf_printf(out, ",%s=\"", l->label) && put_text(out, l->value) &&
         wr_buf_append(out, "\"", 1);
  }
  return ok && wr_buf_append(out, "} ", 2) && wr_exposition_number(out, l->number);
}

// The value of an endpoint; false when the family does not have it.
static bool endpoint_value(enum wr_metric metric, const struct wr_roster_member *m,
                           const struct wr_outlier_row *row, double *out)
{
  switch (metric) {
  case WR_METRIC_UPSTREAM_HEALTHY: *out = !row->is_unhealthy; return true;
  case WR_METRIC_ENDPOINT_EJECTED: *out = row->is_ejected; return true;
  case WR_METRIC_ENDPOINT_WEIGHT: *out = m->weight; return true;
  default: return false;
  }
}

static bool put_endpoints(struct wr_buf *out, enum wr_metric metric, const char *name,
                          const struct wr_roster *r)
{
  bool ok = true;
  for (uint32_t i = 0; ok && i < r->capacity; i++) {
    const struct wr_outlier_row *row = &wr_roster_outlier(r)->rows[i];
    const struct wr_roster_member *m = wr_roster_member(r, i);
    struct line line = {metric, name, "endpoint", m->url, 0};
    if (!row->is_used || !endpoint_value(metric, m, row, &line.number)) continue;
    ok = put_line(out, &line);
  }
  return ok;
}

static bool put_ejections(struct wr_buf *out, const char *name, const struct wr_roster *r)
{
  bool ok = true;
  for (int i = WR_OUTLIER_CONSECUTIVE; ok && i <= WR_OUTLIER_LATENCY; i++) {
    const char *cause = wr_outlier_cause_name((enum wr_outlier_cause)i);
    double total = (double)wr_roster_outlier(r)->total[i];
    ok = put_line(out, &(struct line){WR_METRIC_EJECTIONS, name, "cause", cause, total});
  }
  return ok;
}

static bool put_upstream(struct wr_buf *out, enum wr_metric metric, const char *name,
                         const struct wr_roster *r)
{
  struct line line = {metric, name, NULL, NULL, 0};
  switch (metric) {
  case WR_METRIC_EJECTIONS: return put_ejections(out, name, r);
  case WR_METRIC_EJECTIONS_SPARED: line.number = (double)wr_roster_outlier(r)->spared; break;
  case WR_METRIC_UPSTREAM_PANIC: line.number = r->is_panic; break;
  case WR_METRIC_UPSTREAM_PANICS: line.number = (double)r->panics; break;
  case WR_METRIC_UPSTREAM_ENDPOINTS: line.number = wr_roster_outlier(r)->count; break;
  case WR_METRIC_UPSTREAM_USABLE: line.number = wr_roster_outlier(r)->usable; break;
  default: return put_endpoints(out, metric, name, r);
  }
  return put_line(out, &line);
}

static bool put_family(struct wr_registry *r, uint64_t now_ns, struct wr_buf *out,
                       enum wr_metric metric)
{
  struct wr_entry *entry;
  uint32_t at = 0;
  bool ok = wr_exposition_family(out, metric);
  while (ok && (entry = wr_registry_each(r, &at)) != NULL) {
    struct wr_roster *roster = copy_roster(r, entry, now_ns);
    if (roster == NULL) continue;
    ok = put_upstream(out, metric, entry->name, roster);
    wr_free(roster);
  }
  return ok;
}

static const enum wr_metric families[] = {
    WR_METRIC_UPSTREAM_ENDPOINTS, WR_METRIC_UPSTREAM_USABLE,  WR_METRIC_UPSTREAM_PANIC,
    WR_METRIC_UPSTREAM_PANICS,    WR_METRIC_UPSTREAM_HEALTHY, WR_METRIC_ENDPOINT_EJECTED,
    WR_METRIC_ENDPOINT_WEIGHT,    WR_METRIC_EJECTIONS,        WR_METRIC_EJECTIONS_SPARED};

bool wr_metrics_upstreams(struct wr_registry *r, uint64_t now_ns, struct wr_buf *out)
{
  bool ok = true;
  for (size_t i = 0; ok && i < WR_COUNT(families); i++) {
    ok = put_family(r, now_ns, out, families[i]);
  }
  return ok;
}

bool wr_metrics_is_of_upstreams(enum wr_metric metric)
{
  for (size_t i = 0; i < WR_COUNT(families); i++) {
    if (families[i] == metric) return true;
  }
  return false;
}
