#include "observe/metrics.h"

#include "arena/cache.h"
#include "arena/series.h"
#include "arena/slot.h"
#include "base/check.h"
#include "observe/exposition.h"

static const char *const types[] = {"counter", "gauge", "histogram"};

bool wr_metrics_example(const struct wr_arena *a, uint32_t series, uint32_t bucket,
                        struct wr_exemplar_view *out)
{
  struct wr_exemplar_view found;
  *out = (struct wr_exemplar_view){0};
  for (uint32_t i = 0; i < a->header->slot_count; i++) {
    bool is_one = wr_exemplar_get(&wr_slot_of(a, i)->exemplars[bucket], series, &found);
    if (is_one && found.wall_ns > out->wall_ns) *out = found;
  }
  return out->wall_ns > 0;
}

// " # {trace_id="…"} 0.02".
static bool put_example(struct wr_buf *out, const struct wr_arena *a, uint32_t series,
                        uint32_t bucket)
{
  struct wr_exemplar_view found;
  if (!wr_metrics_example(a, series, bucket, &found)) return true;
  return wr_buf_printf(out, " # {trace_id=\"%s\"} %.9g", found.trace_id, found.value);
}

static bool put_histogram(struct wr_buf *out, const struct wr_arena *a,
                          const struct wr_series_view *view, bool with_examples)
{
  const struct wr_family *f = view->family;
  struct wr_series_histogram h;
  wr_series_read(a, view->series, &h);
  const char *comma = view->labels.len > 0 ? "," : "";
  bool ok = true;
  for (uint32_t i = 0; ok && i < f->bucket_count; i++) {
    ok = wr_buf_printf(out, "%s_bucket{%.*s%sle=\"%.9g\"} %llu", f->name, WR_STR_ARG(view->labels),
                       comma, f->buckets[i], (unsigned long long)h.cumulative[i]) &&
         (!with_examples || put_example(out, a, view->series, i)) && wr_buf_append(out, "\n", 1);
  }
  ok = ok &&
       wr_buf_printf(out, "%s_bucket{%.*s%sle=\"+Inf\"} %llu", f->name, WR_STR_ARG(view->labels),
                     comma, (unsigned long long)h.count) &&
       (!with_examples || put_example(out, a, view->series, f->bucket_count)) &&
       wr_buf_append(out, "\n", 1);
  const char *open = view->labels.len > 0 ? "{" : "";
  const char *close = view->labels.len > 0 ? "}" : "";
  return ok &&
         wr_buf_printf(out, "%s_sum%s%.*s%s ", f->name, open, WR_STR_ARG(view->labels), close) &&
         wr_exposition_number(out, h.sum) &&
         wr_buf_printf(out, "%s_count%s%.*s%s %llu\n", f->name, open, WR_STR_ARG(view->labels),
                       close, (unsigned long long)h.count);
}

static bool put_value(struct wr_buf *out, const struct wr_arena *a,
                      const struct wr_series_view *view)
{
  const char *format = view->labels.len > 0 ? "%s{%.*s} " : "%s%.*s ";
  return wr_buf_printf(out, format, view->family->name, WR_STR_ARG(view->labels)) &&
         wr_exposition_number(out, wr_series_value(a, view->series));
}

// Workers make series meanwhile, so what was told of is noted here and not found out afterwards.
static bool put_series(struct wr_buf *out, const struct wr_arena *a, bool with_examples,
                       bool told[WR_METRICS])
{
  struct wr_series_view view = {0};
  const struct wr_family *last = NULL;
  bool ok = true;
  while (ok && wr_series_next(a, &view)) {
    const struct wr_family *f = view.family;
    WR_CHECK(f != NULL);
    if (f != last) ok = wr_exposition_header(out, f->name, f->help, types[f->type]);
    last = f;
    if (view.family_number < WR_METRICS) told[view.family_number] = true;
    ok = ok &&
         (f->type == WR_SERIES_HISTOGRAM
              ? put_histogram(out, a, &view,
                              with_examples && view.family_number == WR_METRIC_HTTP_SERVER_DURATION)
              : put_value(out, a, &view));
  }
  return ok;
}

static bool put_plain(struct wr_buf *out, enum wr_metric metric, uint64_t value)
{
  return wr_exposition_family(out, metric) &&
         wr_buf_printf(out, "%s %llu\n", wr_exposition_name(metric), (unsigned long long)value);
}

static bool put_cache(struct wr_buf *out, struct wr_arena *a)
{
  struct wr_cache_stats stats;
  wr_cache_stats(a, &stats);
  return put_plain(out, WR_METRIC_CACHE_BYTES, stats.bytes_used) &&
         put_plain(out, WR_METRIC_CACHE_ITEMS, stats.items) &&
         put_plain(out, WR_METRIC_CACHE_REJECTIONS, stats.rejections) &&
         put_plain(out, WR_METRIC_CACHE_EVICTIONS, stats.evictions);
}

bool wr_metrics_write(struct wr_registry *r, uint64_t now_ns, bool with_examples,
                      struct wr_buf *out)
{
  bool told[WR_METRICS] = {false};
  return put_series(out, r->arena, with_examples, told) && wr_metrics_primitives(r, now_ns, out) &&
         wr_metrics_upstreams(r, now_ns, out) && put_cache(out, r->arena) &&
         wr_metrics_silent(told, out);
}
