#include "observe/otlp_points.h"

#include "base/check.h"

// Numbers of opentelemetry-proto's Metric, of its data and their points.
enum { NAME = 1, DESCRIPTION = 2, UNIT = 3 };
enum { POINTS = 1, TEMPORALITY = 2, IS_MONOTONIC = 3, CUMULATIVE = 2 };
enum { START = 2, TIME = 3 };

enum {
  POINTS_TOGETHER = 64, // a family of more is several records: each has to find room
  LABEL_SIZE = 1024,
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

static const char *data_name(enum wr_otlp_data data)
{
  switch (data) {
  case WR_OTLP_GAUGE: return "gauge";
  case WR_OTLP_SUM: return "sum";
  case WR_OTLP_HISTOGRAM: return "histogram";
  case WR_OTLP_EXPONENTIAL: return "exponentialHistogram";
  case WR_OTLP_SUMMARY: return "summary";
  }
  return "";
}

static void open_record(struct wr_otlp_points *p)
{
  struct wr_otlp_writer *w = p->w = wr_otlp_batch_begin(p->m->batch);
  struct wr_str unit = unit_of(p->name);
  wr_otlp_writer_text(w, NAME, "name", otel_name(p->name));
  wr_otlp_writer_text(w, DESCRIPTION, "description", p->help);
  if (unit.len > 0) wr_otlp_writer_text(w, UNIT, "unit", unit);
  wr_otlp_writer_message(w, (uint32_t)p->data, data_name(p->data));
  wr_otlp_writer_list(w, "dataPoints");
  p->is_open = true;
  p->count = 0;
}

void wr_otlp_points_end(struct wr_otlp_points *p)
{
  if (!p->is_open) return;
  p->is_open = false;
  wr_otlp_writer_list_end(p->w);
  if (p->data != WR_OTLP_GAUGE && p->data != WR_OTLP_SUMMARY) {
    wr_otlp_writer_small(p->w, TEMPORALITY, "aggregationTemporality", CUMULATIVE);
  }
  if (p->data == WR_OTLP_SUM) wr_otlp_writer_bool(p->w, IS_MONOTONIC, "isMonotonic", true);
  wr_otlp_writer_message_end(p->w);
  if (!wr_otlp_batch_end(p->m->batch)) p->m->lost++;
}

void wr_otlp_points_family(struct wr_otlp_points *p, struct wr_str name, struct wr_str help,
                           enum wr_otlp_data data)
{
  wr_otlp_points_end(p);
  p->name = name;
  p->help = help;
  p->data = data;
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

bool wr_otlp_points_next_label(struct wr_str *rest, struct wr_str *name, struct wr_str *value)
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

void wr_otlp_points_labels(struct wr_otlp_points *p, uint32_t field, struct wr_str labels)
{
  struct wr_otlp_writer *w = p->w;
  struct wr_str name, value;
  char room[LABEL_SIZE];
  wr_otlp_writer_attributes(w, field);
  while (wr_otlp_points_next_label(&labels, &name, &value)) {
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

void wr_otlp_points_open(struct wr_otlp_points *p)
{
  if (p->is_open && p->count == POINTS_TOGETHER) wr_otlp_points_end(p);
  if (!p->is_open) open_record(p);
  p->count++;
  wr_otlp_writer_item(p->w, POINTS);
  if (p->data != WR_OTLP_GAUGE) {
    wr_otlp_writer_fixed64(p->w, START, "startTimeUnixNano", p->m->start_ns);
  }
  wr_otlp_writer_fixed64(p->w, TIME, "timeUnixNano", p->m->now_ns);
}

void wr_otlp_points_close(struct wr_otlp_points *p)
{
  wr_otlp_writer_item_end(p->w);
}
