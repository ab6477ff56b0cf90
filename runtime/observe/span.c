#include "observe/span.h"

#include "base/decimal.h"

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
enum { STATUS_ERROR = 2 };
enum { HAS_IS_REMOTE = 0x100, IS_REMOTE = 0x200 };
enum { VALUE_LEN = 1024 }; // of what clients and scripts choose
enum { PORT_DIGITS = 5 };

static void put_ids(struct wr_otlp_writer *w, const struct wr_span *span)
{
  const struct wr_trace_context *context = &span->trace->context;
  wr_otlp_writer_id(w, TRACE_ID, "traceId", context->trace_id);
  wr_otlp_writer_id(w, SPAN_ID, "spanId", span->id);
  if (context->state.len > 0) {
    wr_otlp_writer_text(w, TRACE_STATE, "traceState", context->state);
  }
  if (span->parent[0]) wr_otlp_writer_id(w, PARENT_SPAN_ID, "parentSpanId", span->parent);
  uint32_t flags = context->flags | HAS_IS_REMOTE | (span->is_remote ? IS_REMOTE : 0);
  wr_otlp_writer_fixed32(w, FLAGS, "flags", flags);
}

struct wr_otlp_writer *wr_span_begin(struct wr_otlp_batch *b, const struct wr_span *span)
{
  struct wr_otlp_writer *w = wr_otlp_batch_begin(b);
  put_ids(w, span);
  wr_otlp_writer_text(w, NAME, "name", span->name);
  wr_otlp_writer_small(w, KIND, "kind", span->kind);
  wr_otlp_writer_fixed64(w, START, "startTimeUnixNano", span->start_ns);
  wr_otlp_writer_fixed64(w, END, "endTimeUnixNano", span->end_ns);
  wr_otlp_writer_attributes(w, ATTRIBUTES);
  return w;
}

void wr_span_put(struct wr_otlp_writer *w, const char *key, struct wr_str value)
{
  if (value.len == 0) return;
  if (value.len > VALUE_LEN) value.len = VALUE_LEN;
  wr_otlp_writer_attribute(w, wr_str_of(key), value);
}

void wr_span_put_server(struct wr_otlp_writer *w, struct wr_str authority)
{
  const char *colon = authority.len > 0 ? memrchr(authority.ptr, ':', authority.len) : NULL;
  size_t at = colon ? (size_t)(colon - authority.ptr) : authority.len;
  struct wr_str host = authority;
  int port = 0;
  size_t i = at + 1;
  for (; i < authority.len && i <= at + PORT_DIGITS; i++) {
    char c = authority.ptr[i];
    if (c < '0' || c > '9') break;
    port = port * 10 + (c - '0');
  }
  bool has_port = i > at + 1 && i == authority.len;
  if (has_port) host.len = at;
  wr_span_put(w, "server.address", host);
  if (has_port) wr_otlp_writer_attribute_int(w, "server.port", port);
}

void wr_span_put_error(struct wr_otlp_writer *w, const char *kind, int status, int bad)
{
  char digits[WR_DECIMAL_SIZE];
  if (kind[0]) {
    wr_span_put(w, "error.type", wr_str_of(kind));
  } else if (status >= bad) {
    wr_decimal_write(digits, (uint64_t)status);
    wr_span_put(w, "error.type", wr_str_of(digits));
  }
}

void wr_span_seal(struct wr_otlp_writer *w)
{
  wr_otlp_writer_attributes_end(w);
}

bool wr_span_end(struct wr_otlp_batch *b, bool is_error)
{
  struct wr_otlp_writer *w = &b->writer;
  if (is_error) {
    wr_otlp_writer_message(w, STATUS, "status");
    wr_otlp_writer_small(w, STATUS_CODE, "code", STATUS_ERROR);
    wr_otlp_writer_message_end(w);
  }
  return wr_otlp_batch_end(b);
}
