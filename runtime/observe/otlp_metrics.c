#include "observe/otlp_metrics.h"

#include "arena/series.h"
#include "base/check.h"

#include <math.h>
#include <stdlib.h>

// Numbers of opentelemetry-proto's Metric and its data points.
enum {
  NAME = 1,
  DESCRIPTION = 2,
  UNIT = 3,
  GAUGE = 5,
  SUM = 7,
  HISTOGRAM = 9,
  SUMMARY = 11,
  POINTS = 1
};
enum { TEMPORALITY = 2, IS_MONOTONIC = 3, CUMULATIVE = 2 };
enum { START = 2, TIME = 3, AS_DOUBLE = 4, NUMBER_ATTRIBUTES = 7 };
enum { QUANTILES = 6, SUMMARY_ATTRIBUTES = 7, QUANTILE = 1, VALUE = 2 };
enum { COUNT = 4, TOTAL = 5, BUCKET_COUNTS = 6, BOUNDS = 7, HISTOGRAM_ATTRIBUTES = 9 };

enum {
  POINTS_TOGETHER = 64, // a family of more is several records: each has to find room
  BUCKETS = WR_SERIES_BUCKETS + 1,
  LABEL_SIZE = 1024,
};

// A family whose lines come.
struct family {
  struct wr_str name, help;
  int data; // field of its points' message
  uint32_t points;
  bool is_open; // a record is being written
  double bounds[BUCKETS];
  uint64_t cumulative[BUCKETS]; // of histograms
  double values[BUCKETS];       // of summaries, whose bounds are the quantiles
  size_t buckets;
  double sum;
};

struct page {
  struct wr_otlp_metrics *m;
  struct wr_otlp_writer *w;
  struct family family;
};

// --- names --------------------------------------------------------------------------------------

// Where OpenTelemetry has a name of its own.
static const struct {
  const char *text, *otel;
} names[] = {
    {"http_server_request_duration_seconds", "http.server.request.duration"},
    {"http_client_request_duration_seconds", "http.client.request.duration"},
    {"http_server_active_requests", "http.server.active_requests"},
    {"http_server_request_body_size_bytes", "http.server.request.body.size"},
    {"http_server_response_body_size_bytes", "http.server.response.body.size"},
    {"http_client_request_body_size_bytes", "http.client.request.body.size"},
    {"http_client_response_body_size_bytes", "http.client.response.body.size"},
    {"dns_lookup_duration_seconds", "dns.lookup.duration"},
    {"http_client_open_connections", "http.client.open_connections"},
    {"http_connection_state", "http.connection.state"},
    {"http_request_method", "http.request.method"},
    {"http_response_status_code", "http.response.status_code"},
    {"http_route", "http.route"},
    {"network_protocol_version", "network.protocol.version"},
    {"url_scheme", "url.scheme"},
    {"error_type", "error.type"},
    {"server_address", "server.address"},
    {"server_port", "server.port"},
};

static struct wr_str otel_name(struct wr_str text)
{
  for (size_t i = 0; i < WR_COUNT(names); i++) {
    if (wr_str_eq(text, wr_str_of(names[i].text))) return wr_str_of(names[i].otel);
  }
  return text;
}

static bool ends(struct wr_str s, struct wr_str end)
{
  return s.len >= end.len && memcmp(s.ptr + s.len - end.len, end.ptr, end.len) == 0;
}

static struct wr_str unit_of(struct wr_str name)
{
  if (ends(name, WR_STR("_total"))) name.len -= sizeof("_total") - 1;
  if (ends(name, WR_STR("_seconds"))) return WR_STR("s");
  if (ends(name, WR_STR("_bytes"))) return WR_STR("By");
  return ends(name, WR_STR("_ratio")) ? WR_STR("1") : WR_STR("");
}

// --- a record -----------------------------------------------------------------------------------

static const char *data_name(int data)
{
  if (data == SUMMARY) return "summary";
  return data == SUM ? "sum" : data == HISTOGRAM ? "histogram" : "gauge";
}

static void open_record(struct page *p)
{
  struct family *f = &p->family;
  struct wr_otlp_writer *w = p->w = wr_otlp_batch_begin(p->m->batch);
  struct wr_str unit = unit_of(f->name);
  wr_otlp_writer_text(w, NAME, "name", otel_name(f->name));
  wr_otlp_writer_text(w, DESCRIPTION, "description", f->help);
  if (unit.len > 0) wr_otlp_writer_text(w, UNIT, "unit", unit);
  wr_otlp_writer_message(w, (uint32_t)f->data, data_name(f->data));
  wr_otlp_writer_list(w, "dataPoints");
  f->is_open = true;
  f->points = 0;
}

static void close_record(struct page *p)
{
  struct family *f = &p->family;
  if (!f->is_open) return;
  f->is_open = false;
  wr_otlp_writer_list_end(p->w);
  if (f->data == SUM || f->data == HISTOGRAM) {
    wr_otlp_writer_small(p->w, TEMPORALITY, "aggregationTemporality", CUMULATIVE);
  }
  if (f->data == SUM) wr_otlp_writer_bool(p->w, IS_MONOTONIC, "isMonotonic", true);
  wr_otlp_writer_message_end(p->w);
  if (!wr_otlp_batch_end(p->m->batch)) p->m->lost++;
}

// --- points -------------------------------------------------------------------------------------

// Undoes the text format's escapes.
static struct wr_str unescape(struct wr_str s, char out[LABEL_SIZE])
{
  size_t len = 0;
  for (size_t i = 0; i < s.len && len < LABEL_SIZE; i++) {
    char c = s.ptr[i];
    if (c == '\\' && i + 1 < s.len) c = s.ptr[++i] == 'n' ? '\n' : s.ptr[i];
    out[len++] = c;
  }
  return (struct wr_str){out, len};
}

// Takes `name="value"` and the comma behind it off `*rest`. False at the end.
static bool next_label(struct wr_str *rest, struct wr_str *name, struct wr_str *value)
{
  if (rest->len == 0) return false;
  *name = wr_str_split(rest, '=');
  if (rest->len < 2) return false;
  size_t at = 1;
  while (at < rest->len && rest->ptr[at] != '"') at += rest->ptr[at] == '\\' ? 2 : 1;
  if (at >= rest->len) return false;
  *value = (struct wr_str){rest->ptr + 1, at - 1};
  rest->ptr += at + 1, rest->len -= at + 1;
  if (rest->len > 0 && rest->ptr[0] == ',') rest->ptr++, rest->len--;
  return true;
}

static void put_labels(struct wr_otlp_writer *w, uint32_t field, struct wr_str labels)
{
  struct wr_str name, value;
  char room[LABEL_SIZE];
  wr_otlp_writer_attributes(w, field);
  while (next_label(&labels, &name, &value)) {
    struct wr_str key = otel_name(name);
    value = unescape(value, room);
    if (wr_str_eq(name, WR_STR("http_response_status_code")) && value.len == 3) {
      int status = (value.ptr[0] - '0') * 100 + (value.ptr[1] - '0') * 10 + value.ptr[2] - '0';
      wr_otlp_writer_attribute_int(w, key.ptr, status);
    } else {
      wr_otlp_writer_attribute(w, key, value);
    }
  }
  wr_otlp_writer_attributes_end(w);
}

static void open_point(struct page *p)
{
  if (p->family.is_open && p->family.points == POINTS_TOGETHER) close_record(p);
  if (!p->family.is_open) open_record(p);
  p->family.points++;
  wr_otlp_writer_item(p->w, POINTS);
  if (p->family.data != GAUGE) {
    wr_otlp_writer_fixed64(p->w, START, "startTimeUnixNano", p->m->start_ns);
  }
  wr_otlp_writer_fixed64(p->w, TIME, "timeUnixNano", p->m->now_ns);
}

static void put_number(struct page *p, struct wr_str labels, double value)
{
  open_point(p);
  wr_otlp_writer_double(p->w, AS_DOUBLE, "asDouble", value);
  put_labels(p->w, NUMBER_ATTRIBUTES, labels);
  wr_otlp_writer_item_end(p->w);
}

static void put_histogram(struct page *p, struct wr_str labels, double count)
{
  struct family *f = &p->family;
  uint64_t counts[BUCKETS];
  for (size_t i = 0; i < f->buckets; i++) {
    counts[i] = f->cumulative[i] - (i > 0 ? f->cumulative[i - 1] : 0);
  }
  open_point(p);
  wr_otlp_writer_fixed64(p->w, COUNT, "count", (uint64_t)count);
  wr_otlp_writer_double(p->w, TOTAL, "sum", f->sum);
  wr_otlp_writer_fixed64s(p->w, BUCKET_COUNTS, "bucketCounts", counts, f->buckets);
  // The last one is +Inf, which OTLP leaves out.
  wr_otlp_writer_doubles(p->w, BOUNDS, "explicitBounds", f->bounds,
                         f->buckets > 0 ? f->buckets - 1 : 0);
  put_labels(p->w, HISTOGRAM_ATTRIBUTES, labels);
  wr_otlp_writer_item_end(p->w);
  f->buckets = 0;
}

static void put_summary(struct page *p, struct wr_str labels, double count)
{
  struct family *f = &p->family;
  open_point(p);
  wr_otlp_writer_fixed64(p->w, COUNT, "count", (uint64_t)count);
  wr_otlp_writer_double(p->w, TOTAL, "sum", f->sum);
  wr_otlp_writer_list(p->w, "quantileValues");
  for (size_t i = 0; i < f->buckets; i++) {
    wr_otlp_writer_item(p->w, QUANTILES);
    wr_otlp_writer_double(p->w, QUANTILE, "quantile", f->bounds[i]);
    wr_otlp_writer_double(p->w, VALUE, "value", f->values[i]);
    wr_otlp_writer_item_end(p->w);
  }
  wr_otlp_writer_list_end(p->w);
  put_labels(p->w, SUMMARY_ATTRIBUTES, labels);
  wr_otlp_writer_item_end(p->w);
  f->buckets = 0;
}

// --- lines --------------------------------------------------------------------------------------

// Slices of the page are followed by a line's end at least, so they end where numbers end.
static double number_of(struct wr_str text)
{
  if (wr_str_begins(text, WR_STR("+Inf"))) return INFINITY;
  return text.len > 0 ? strtod(text.ptr, NULL) : 0;
}

// The number in a label: the bound of a bucket, or a quantile.
static double label_of(struct wr_str labels, struct wr_str wanted)
{
  struct wr_str name, value;
  double number = INFINITY;
  while (next_label(&labels, &name, &value)) {
    if (wr_str_eq(name, wanted)) number = number_of(value);
  }
  return number;
}

// A sample of a histogram or a summary: the point is whole with its count.
static void take_part(struct page *p, struct wr_str part, struct wr_str labels, double value)
{
  struct family *f = &p->family;
  bool is_summary = f->data == SUMMARY;
  if (wr_str_eq(part, WR_STR("_sum"))) {
    f->sum = value;
  } else if (wr_str_eq(part, WR_STR("_count"))) {
    if (is_summary) {
      put_summary(p, labels, value);
    } else {
      put_histogram(p, labels, value);
    }
  } else if (f->buckets < BUCKETS) {
    f->bounds[f->buckets] = label_of(labels, is_summary ? WR_STR("quantile") : WR_STR("le"));
    f->values[f->buckets] = value;
    f->cumulative[f->buckets++] = is_summary ? 0 : (uint64_t)value;
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
  if (line.ptr == NULL || !wr_str_begins(name, p->family.name)) return;
  double value = number_of(wr_str_trim(line));
  struct wr_str part = {name.ptr + p->family.name.len, name.len - p->family.name.len};
  if (p->family.data == HISTOGRAM || p->family.data == SUMMARY) {
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
    close_record(p);
    p->family = (struct family){.name = name, .help = line, .data = GAUGE};
  } else if (wr_str_eq(word, WR_STR("TYPE"))) {
    if (wr_str_eq(line, WR_STR("counter"))) p->family.data = SUM;
    if (wr_str_eq(line, WR_STR("histogram"))) p->family.data = HISTOGRAM;
    if (wr_str_eq(line, WR_STR("summary"))) p->family.data = SUMMARY;
  }
}

void wr_otlp_metrics_write(struct wr_otlp_metrics *m, struct wr_str page)
{
  struct page p = {.m = m};
  while (page.ptr != NULL) {
    struct wr_str line = wr_str_split(&page, '\n');
    if (wr_str_begins(line, WR_STR("# "))) {
      take_comment(&p, (struct wr_str){line.ptr + 2, line.len - 2});
    } else if (line.len > 0) {
      take_sample(&p, line);
    }
  }
  close_record(&p);
}
