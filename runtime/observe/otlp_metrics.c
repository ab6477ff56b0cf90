#include "observe/otlp_metrics.h"

#include "observe/otlp_histograms.h"

#include <math.h>
#include <stdlib.h>

// Numbers of opentelemetry-proto's data points.
enum { AS_DOUBLE = 4, NUMBER_ATTRIBUTES = 7 };
enum { COUNT = 4, TOTAL = 5, QUANTILES = 6, SUMMARY_ATTRIBUTES = 7, QUANTILE = 1, VALUE = 2 };

enum { QUANTILES_ROOM = 8 };

struct page {
  struct wr_otlp_points points;
  bool is_skipped; // the family is one of histograms, which are read from their series
  double quantiles[QUANTILES_ROOM], values[QUANTILES_ROOM]; // of the summary whose lines come
  size_t count;
  double sum;
};

// --- points -------------------------------------------------------------------------------------

static void put_number(struct page *p, struct wr_str labels, double value)
{
  wr_otlp_points_open(&p->points);
  wr_otlp_writer_double(p->points.w, AS_DOUBLE, "asDouble", value);
  wr_otlp_points_labels(&p->points, NUMBER_ATTRIBUTES, labels);
  wr_otlp_points_close(&p->points);
}

static void put_summary(struct page *p, struct wr_str labels, double count)
{
  wr_otlp_points_open(&p->points);
  struct wr_otlp_writer *w = p->points.w;
  wr_otlp_writer_fixed64(w, COUNT, "count", (uint64_t)count);
  wr_otlp_writer_double(w, TOTAL, "sum", p->sum);
  wr_otlp_writer_list(w, "quantileValues");
  for (size_t i = 0; i < p->count; i++) {
    wr_otlp_writer_item(w, QUANTILES);
    wr_otlp_writer_double(w, QUANTILE, "quantile", p->quantiles[i]);
    wr_otlp_writer_double(w, VALUE, "value", p->values[i]);
    wr_otlp_writer_item_end(w);
  }
  wr_otlp_writer_list_end(w);
  wr_otlp_points_labels(&p->points, SUMMARY_ATTRIBUTES, labels);
  wr_otlp_points_close(&p->points);
  p->count = 0;
}

// --- lines --------------------------------------------------------------------------------------

// Slices of the page are followed by a line's end at least, so they end where numbers end.
static double number_of(struct wr_str text)
{
  if (wr_str_begins(text, WR_STR("+Inf"))) return INFINITY;
  return text.len > 0 ? strtod(text.ptr, NULL) : 0;
}

static double quantile_of(struct wr_str labels)
{
  struct wr_str name, value;
  double number = INFINITY;
  while (wr_otlp_points_next_label(&labels, &name, &value)) {
    if (wr_str_eq(name, WR_STR("quantile"))) number = number_of(value);
  }
  return number;
}

// A line of a summary: the point is whole with its count.
static void take_part(struct page *p, struct wr_str part, struct wr_str labels, double value)
{
  if (wr_str_eq(part, WR_STR("_sum"))) {
    p->sum = value;
  } else if (wr_str_eq(part, WR_STR("_count"))) {
    put_summary(p, labels, value);
  } else if (p->count < QUANTILES_ROOM) {
    p->quantiles[p->count] = quantile_of(labels);
    p->values[p->count++] = value;
  }
}

// The brace that ends the labels: none that stands in a value.
static const char *labels_end(const char *at, const char *end)
{
  bool is_quoted = false;
  for (; at < end; at++) {
    if (is_quoted && *at == '\\') {
      at++;
    } else if (*at == '"') {
      is_quoted = !is_quoted;
    } else if (*at == '}' && !is_quoted) {
      return at;
    }
  }
  return NULL;
}

static void take_sample(struct page *p, struct wr_str line)
{
  struct wr_str labels = {NULL, 0};
  struct wr_str name = line;
  const char *end = line.ptr + line.len;
  const char *open = memchr(line.ptr, '{', line.len);
  const char *close = open ? labels_end(open, end) : NULL;
  if (close) {
    name.len = (size_t)(open - line.ptr);
    labels = (struct wr_str){open + 1, (size_t)(close - open - 1)};
    line = (struct wr_str){close + 1, (size_t)(end - close - 1)};
  } else {
    name = wr_str_split(&line, ' ');
  }
  struct wr_str family = p->points.name;
  if (line.ptr == NULL || p->is_skipped || !wr_str_begins(name, family)) return;
  double value = number_of(wr_str_trim(line));
  struct wr_str part = {name.ptr + family.len, name.len - family.len};
  if (p->points.data == WR_OTLP_SUMMARY) {
    take_part(p, part, labels, value);
  } else {
    put_number(p, labels, value);
  }
}

static void take_comment(struct page *p, struct wr_str line)
{
  struct wr_str word = wr_str_split(&line, ' ');
  struct wr_str name = wr_str_split(&line, ' ');
  if (wr_str_eq(word, WR_STR("HELP"))) {
    wr_otlp_points_family(&p->points, name, line, WR_OTLP_GAUGE);
    p->is_skipped = false;
    p->count = 0;
  } else if (wr_str_eq(word, WR_STR("TYPE"))) {
    if (wr_str_eq(line, WR_STR("counter"))) p->points.data = WR_OTLP_SUM;
    if (wr_str_eq(line, WR_STR("summary"))) p->points.data = WR_OTLP_SUMMARY;
    p->is_skipped = wr_str_eq(line, WR_STR("histogram"));
  }
}

void wr_otlp_metrics_write(struct wr_otlp_metrics *m, struct wr_str page)
{
  struct page p = {.points = {.m = m}};
  while (page.ptr != NULL) {
    struct wr_str line = wr_str_split(&page, '\n');
    if (wr_str_begins(line, WR_STR("# "))) {
      take_comment(&p, (struct wr_str){line.ptr + 2, line.len - 2});
    } else if (line.len > 0) {
      take_sample(&p, line);
    }
  }
  wr_otlp_histograms_write(&p.points);
  wr_otlp_points_end(&p.points);
}
