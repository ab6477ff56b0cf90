#include "observe/otlp_histograms.h"

#include "base/alloc.h"
#include "base/check.h"
#include "observe/metrics.h"

#include <math.h>

// Numbers of opentelemetry-proto's data points and of an exemplar.
enum { COUNT = 4, SUM = 5, BUCKET_COUNTS = 6, BOUNDS = 7, EXEMPLARS = 8, ATTRIBUTES = 9 };
enum { X_ATTRIBUTES = 1, X_SCALE = 6, X_ZERO_COUNT = 7, X_POSITIVE = 8, X_EXEMPLARS = 11 };
enum { X_ZERO_THRESHOLD = 14, OFFSET = 1, COUNTS = 2 };
enum { EXAMPLE_TIME = 2, EXAMPLE_VALUE = 3, EXAMPLE_SPAN = 4, EXAMPLE_TRACE = 5 };

enum { BUCKETS = WR_SERIES_BUCKETS + 1, ROWS_AT_ONCE = 256 };

// The first bucket has all up to the threshold, which are as good as zero; the last one has what is
// longer than all others, and counts as a bucket like them.
enum { POSITIVE = WR_SERIES_FINE - 1, FIRST = WR_SERIES_FINE_LOWEST * (1 << WR_SERIES_FINE_SCALE) };

struct wr_otlp_total {
  uint32_t seen[WR_SERIES_FINE];
  uint64_t counts[WR_SERIES_FINE];
};

// --- exemplars ----------------------------------------------------------------------------------

static void put_exemplar(struct wr_otlp_writer *w, uint32_t field,
                         const struct wr_exemplar_view *example)
{
  wr_otlp_writer_item(w, field);
  wr_otlp_writer_fixed64(w, EXAMPLE_TIME, "timeUnixNano", example->wall_ns);
  wr_otlp_writer_double(w, EXAMPLE_VALUE, "asDouble", example->value);
  wr_otlp_writer_id(w, EXAMPLE_SPAN, "spanId", example->span_id);
  wr_otlp_writer_id(w, EXAMPLE_TRACE, "traceId", example->trace_id);
  wr_otlp_writer_item_end(w);
}

static void put_exemplars(struct wr_otlp_points *p, uint32_t field,
                          const struct wr_series_view *view)
{
  struct wr_exemplar_view example;
  if (view->family_number != WR_METRIC_HTTP_SERVER_DURATION) return;
  wr_otlp_writer_list(p->w, "exemplars");
  for (uint32_t i = 0; i <= view->family->bucket_count; i++) {
    if (wr_metrics_example(p->m->arena, view->series, i, &example)) {
      put_exemplar(p->w, field, &example);
    }
  }
  wr_otlp_writer_list_end(p->w);
}

// --- classic ------------------------------------------------------------------------------------

static void put_classic(struct wr_otlp_points *p, const struct wr_series_view *view,
                        const struct wr_series_histogram *h)
{
  const struct wr_family *f = view->family;
  uint64_t counts[BUCKETS];
  for (uint32_t i = 0; i <= f->bucket_count; i++) {
    counts[i] = h->cumulative[i] - (i > 0 ? h->cumulative[i - 1] : 0);
  }
  wr_otlp_points_open(p);
  wr_otlp_writer_fixed64(p->w, COUNT, "count", h->cumulative[f->bucket_count]);
  wr_otlp_writer_double(p->w, SUM, "sum", h->sum);
  wr_otlp_writer_fixed64s(p->w, BUCKET_COUNTS, "bucketCounts", counts, f->bucket_count + 1);
  wr_otlp_writer_doubles(p->w, BOUNDS, "explicitBounds", f->buckets, f->bucket_count);
  put_exemplars(p, EXEMPLARS, view);
  wr_otlp_points_labels(p, ATTRIBUTES, view->labels);
  wr_otlp_points_close(p);
}

// --- exponential --------------------------------------------------------------------------------

static const uint64_t *total_of(struct wr_otlp_totals *t, uint32_t series, const uint32_t *fine)
{
  if (series >= t->count) {
    uint32_t count = series + ROWS_AT_ONCE;
    t->rows = wr_realloc(t->rows, count * sizeof(*t->rows));
    memset(t->rows + t->count, 0, (count - t->count) * sizeof(*t->rows));
    t->count = count;
  }
  if (t->rows[series] == NULL) t->rows[series] = wr_alloc(sizeof(**t->rows));
  struct wr_otlp_total *row = t->rows[series];
  for (int i = 0; i < WR_SERIES_FINE; i++) {
    row->counts[i] += (uint32_t)(fine[i] - row->seen[i]);
    row->seen[i] = fine[i];
  }
  return row->counts;
}

// Those with something in them, and the empty ones between.
static void put_positive(struct wr_otlp_writer *w, const uint64_t *counts)
{
  size_t from = 0;
  size_t to = POSITIVE;
  while (from < to && counts[from] == 0) from++;
  while (to > from && counts[to - 1] == 0) to--;
  if (from == to) return;
  wr_otlp_writer_message(w, X_POSITIVE, "positive");
  wr_otlp_writer_signed(w, OFFSET, "offset", FIRST + (int32_t)from);
  wr_otlp_writer_counts(w, COUNTS, "bucketCounts", counts + from, to - from);
  wr_otlp_writer_message_end(w);
}

static void put_exponential(struct wr_otlp_points *p, const struct wr_series_view *view,
                            const struct wr_series_histogram *h)
{
  const uint64_t *counts = total_of(p->m->totals, view->series, h->fine);
  uint64_t count = 0;
  for (int i = 0; i < WR_SERIES_FINE; i++) count += counts[i];
  wr_otlp_points_open(p);
  wr_otlp_points_labels(p, X_ATTRIBUTES, view->labels);
  wr_otlp_writer_fixed64(p->w, COUNT, "count", count);
  wr_otlp_writer_double(p->w, SUM, "sum", h->sum);
  wr_otlp_writer_signed(p->w, X_SCALE, "scale", WR_SERIES_FINE_SCALE);
  wr_otlp_writer_fixed64(p->w, X_ZERO_COUNT, "zeroCount", counts[0]);
  put_positive(p->w, counts + 1);
  put_exemplars(p, X_EXEMPLARS, view);
  wr_otlp_writer_double(p->w, X_ZERO_THRESHOLD, "zeroThreshold", wr_series_fine_bound(0));
  wr_otlp_points_close(p);
}

// --- all of them --------------------------------------------------------------------------------

void wr_otlp_histograms_write(struct wr_otlp_points *p)
{
  struct wr_series_view view = {0};
  struct wr_series_histogram h;
  const struct wr_family *last = NULL;
  while (wr_series_next(p->m->arena, &view)) {
    const struct wr_family *f = view.family;
    if (f->type != WR_SERIES_HISTOGRAM) continue;
    bool is_exponential = p->m->is_exponential && f->is_fine;
    if (f != last) {
      wr_otlp_points_family(p, wr_str_of(f->name), wr_str_of(f->help),
                            is_exponential ? WR_OTLP_EXPONENTIAL : WR_OTLP_HISTOGRAM);
    }
    last = f;
    wr_series_read(p->m->arena, view.series, &h);
    if (is_exponential) {
      put_exponential(p, &view, &h);
    } else {
      put_classic(p, &view, &h);
    }
  }
}

void wr_otlp_totals_fini(struct wr_otlp_totals *t)
{
  for (uint32_t i = 0; i < t->count; i++) wr_free(t->rows[i]);
  wr_free(t->rows);
  *t = (struct wr_otlp_totals){NULL, 0};
}
