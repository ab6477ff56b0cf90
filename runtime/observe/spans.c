#include "observe/spans.h"

#include "base/decimal.h"
#include "observe/method.h"

#include <stdio.h>

// Numbers of opentelemetry-proto's Span and Status.
enum {
  TRACE_ID = 1,
  SPAN_ID = 2,
  TRACE_STATE = 3,
  PARENT_SPAN_ID = 4,
  NAME = 5,
  KIND = 6,
  START = 7,
  END = 8,
  ATTRIBUTES = 9,
  STATUS = 15,
  FLAGS = 16,
  STATUS_CODE = 3,
};
enum { KIND_INTERNAL = 1, KIND_SERVER = 2, KIND_CLIENT = 3 };
enum { STATUS_ERROR = 2 };
enum { HAS_IS_REMOTE = 0x100, IS_REMOTE = 0x200 };

enum { NAME_SIZE = 256, VALUE_LEN = 1024 }; // of what clients and scripts choose; more is cut

static struct wr_str cut(struct wr_str s)
{
  return (struct wr_str){s.ptr, s.len < VALUE_LEN ? s.len : VALUE_LEN};
}

// What is not known is left out.
static void put(struct wr_otlp_writer *w, const char *key, struct wr_str value)
{
  if (value.len > 0) wr_otlp_writer_attribute(w, wr_str_of(key), cut(value));
}

// --- the request --------------------------------------------------------------------------------

bool wr_spans_is_failure(const struct wr_serving *s, const struct wr_exchange_stats *stats)
{
  if (s->error == WR_ERROR_CANCELLED) return false;
  return stats->status >= 500 || (stats->status > 0 && !stats->is_complete);
}

static void put_method(struct wr_otlp_writer *w, struct wr_str method)
{
  const char *name = wr_method_name(method);
  put(w, "http.request.method", wr_str_of(name));
  if (name[0] == '_') put(w, "http.request.method_original", method);
}

static void put_error_type(struct wr_otlp_writer *w, enum wr_error_kind error, int status)
{
  char digits[WR_DECIMAL_SIZE];
  if (error != WR_ERROR_NONE) {
    put(w, "error.type", wr_str_of(wr_error_name(error)));
  } else if (status >= 500) {
    wr_decimal_write(digits, (uint64_t)status);
    put(w, "error.type", wr_str_of(digits));
  }
}

// The path without its query, as in the log: queries carry secrets.
static void put_asked(struct wr_otlp_writer *w, const struct wr_serving *s)
{
  const struct wr_exchange_info *info = s->request.info;
  put_method(w, info->head->method);
  put(w, "url.path", info->path);
  put(w, "url.scheme", info->scheme);
  put(w, "http.route", wr_str_of(s->request.trail.route));
  put(w, "server.address", info->head->host);
  put(w, "client.address", s->request.client);
  put(w, "network.peer.address", info->client);
  if (info->client_port > 0) {
    wr_otlp_writer_attribute_int(w, "network.peer.port", info->client_port);
  }
  put(w, "network.protocol.version", info->version);
  put(w, "user_agent.original", wr_headers_get(&info->head->headers, WR_STR("User-Agent")));
}

static void put_answered(struct wr_otlp_writer *w, const struct wr_serving *s,
                         const struct wr_exchange_stats *stats)
{
  const struct wr_trail *trail = &s->request.trail;
  if (stats->status > 0) {
    wr_otlp_writer_attribute_int(w, "http.response.status_code", stats->status);
  }
  put_error_type(w, s->error, stats->status);
  put(w, "weir.why", wr_str_of(wr_serving_why(s, stats)));
  put(w, "weir.request_id", s->request.info->request_id);
  wr_otlp_writer_attribute_int(w, "weir.generation", (int64_t)s->generation_number);
  wr_otlp_writer_attribute_int(w, "weir.attempts", trail->attempts);
  put(w, "weir.refused_by", wr_str_of(trail->refused_by));
  if (trail->rung > 0) put(w, "weir.rung", wr_str_of(trail->rung_name));
  // Of a trace that was not chosen only this part is kept: upstreams were told that it is not.
  if (!wr_trace_is_sampled(trail->trace)) put(w, "weir.kept", WR_STR("failed"));
}

static void put_name(struct wr_otlp_writer *w, const struct wr_serving *s)
{
  char name[NAME_SIZE];
  const char *method = wr_method_name(s->request.info->head->method);
  const char *route = s->request.trail.route;
  snprintf(name, sizeof(name), "%s%s%s", method[0] == '_' ? "HTTP" : method, route[0] ? " " : "",
           route);
  wr_otlp_writer_text(w, NAME, "name", wr_str_of(name));
}

static void put_status(struct wr_otlp_writer *w, bool is_error)
{
  if (!is_error) return;
  wr_otlp_writer_message(w, STATUS, "status");
  wr_otlp_writer_small(w, STATUS_CODE, "code", STATUS_ERROR);
  wr_otlp_writer_message_end(w);
}

// Who it is, and of whom.
static void put_ids(struct wr_otlp_writer *w, const struct wr_trace *t, const char *span,
                    const char *parent, bool is_remote)
{
  wr_otlp_writer_id(w, TRACE_ID, "traceId", t->context.trace_id);
  wr_otlp_writer_id(w, SPAN_ID, "spanId", span);
  if (t->context.state.len > 0) {
    wr_otlp_writer_text(w, TRACE_STATE, "traceState", t->context.state);
  }
  if (parent[0]) wr_otlp_writer_id(w, PARENT_SPAN_ID, "parentSpanId", parent);
  uint32_t flags = t->context.flags | HAS_IS_REMOTE | (is_remote ? IS_REMOTE : 0);
  wr_otlp_writer_fixed32(w, FLAGS, "flags", flags);
}

static bool write_request(struct wr_otlp_batch *b, const struct wr_serving *s,
                          const struct wr_exchange_stats *stats, uint64_t now_ns,
                          uint64_t offset_ns)
{
  const struct wr_trace *t = s->request.trail.trace;
  struct wr_otlp_writer *w = wr_otlp_batch_begin(b);
  put_ids(w, t, t->context.span_id, t->caller, t->caller[0] != '\0');
  put_name(w, s);
  wr_otlp_writer_small(w, KIND, "kind", KIND_SERVER);
  wr_otlp_writer_fixed64(w, START, "startTimeUnixNano", s->request.info->start_ns + offset_ns);
  wr_otlp_writer_fixed64(w, END, "endTimeUnixNano", now_ns + offset_ns);
  wr_otlp_writer_attributes(w, ATTRIBUTES);
  put_asked(w, s);
  put_answered(w, s, stats);
  wr_otlp_writer_attributes_end(w);
  put_status(w, wr_spans_is_failure(s, stats));
  return wr_otlp_batch_end(b);
}

uint32_t wr_spans_write(struct wr_otlp_batch *b, const struct wr_serving *s,
                        const struct wr_exchange_stats *stats, uint64_t now_ns, uint64_t offset_ns)
{
  return write_request(b, s, stats, now_ns, offset_ns) ? 0 : 1;
}
