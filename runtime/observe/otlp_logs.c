#include "observe/otlp_logs.h"

#include "base/check.h"
#include "base/stamp.h"

#include <jansson.h>
#include <stdio.h>

// Numbers of opentelemetry-proto's LogRecord.
enum {
  TIME = 1,
  SEVERITY_NUMBER = 2,
  SEVERITY_TEXT = 3,
  BODY = 5,
  ATTRIBUTES = 6,
  TRACE_ID = 9,
  SPAN_ID = 10,
  OBSERVED_TIME = 11,
  EVENT_NAME = 12,
  STRING_VALUE = 1,
};

enum { NAME_SIZE = 128 };

// What is said in fields of the record's own, and severities by their number there.
static const char *const own[] = {"timestamp", "level", "event", "message", "trace_id", "span_id"};
static const struct {
  const char *level;
  uint32_t number;
} severities[] = {{"debug", 5}, {"info", 9}, {"warn", 13}, {"error", 17}};

static const struct {
  const char *field, *otel;
} names[] = {
#define WR_LOG_NAME(ENUM, field, otel, ecs, doc) {field, otel},
#include "tables/log_names.def"
#undef WR_LOG_NAME
};

static const char *otel_name(const char *field, char out[NAME_SIZE])
{
  for (size_t i = 0; i < WR_COUNT(names); i++) {
    if (strcmp(field, names[i].field) == 0) return names[i].otel;
  }
  snprintf(out, NAME_SIZE, "weir.%s", field);
  return out;
}

static bool is_own(const char *field)
{
  for (size_t i = 0; i < WR_COUNT(own); i++) {
    if (strcmp(field, own[i]) == 0) return true;
  }
  return false;
}

static struct wr_str text_of(const json_t *line, const char *field)
{
  const json_t *value = json_object_get(line, field);
  return (struct wr_str){json_string_value(value), json_string_length(value)};
}

static void put_value(struct wr_otlp_writer *w, const char *name, const json_t *value)
{
  switch (json_typeof(value)) {
  case JSON_STRING:
    wr_otlp_writer_attribute(w, wr_str_of(name),
                             (struct wr_str){json_string_value(value), json_string_length(value)});
    break;
  case JSON_INTEGER: wr_otlp_writer_attribute_int(w, name, json_integer_value(value)); break;
  case JSON_REAL: wr_otlp_writer_attribute_double(w, name, json_real_value(value)); break;
  case JSON_TRUE:
  case JSON_FALSE: wr_otlp_writer_attribute_bool(w, name, json_is_true(value)); break;
  default: break; // lines have no lists, and null says nothing
  }
}

// A script's own fields keep the names that it gave them.
static void put_attributes(struct wr_otlp_writer *w, json_t *line)
{
  char room[NAME_SIZE];
  const char *field;
  json_t *value;
  wr_otlp_writer_attributes(w, ATTRIBUTES);
  json_object_foreach(line, field, value)
  {
    if (!json_is_object(value) && !is_own(field)) put_value(w, otel_name(field, room), value);
  }
  json_object_foreach(json_object_get(line, "fields"), field, value) put_value(w, field, value);
  wr_otlp_writer_attributes_end(w);
}

static void put_severity(struct wr_otlp_writer *w, struct wr_str level)
{
  for (size_t i = 0; i < WR_COUNT(severities); i++) {
    if (!wr_str_eq(level, wr_str_of(severities[i].level))) continue;
    wr_otlp_writer_small(w, SEVERITY_NUMBER, "severityNumber", severities[i].number);
  }
  wr_otlp_writer_text(w, SEVERITY_TEXT, "severityText", level);
}

static void put_id(struct wr_otlp_writer *w, uint32_t field, const char *name, struct wr_str id)
{
  if (id.ptr) wr_otlp_writer_id(w, field, name, id.ptr);
}

bool wr_otlp_logs_write(struct wr_otlp_batch *b, struct wr_str text, uint64_t now_ns)
{
  json_t *line = json_loadb(text.ptr, text.len, 0, NULL);
  uint64_t time_ns = 0;
  if (!json_is_object(line)) {
    json_decref(line);
    return true;
  }
  struct wr_otlp_writer *w = wr_otlp_batch_begin(b);
  struct wr_str message = text_of(line, "message");
  struct wr_str event = text_of(line, "event");
  if (wr_stamp_read(text_of(line, "timestamp"), &time_ns)) {
    wr_otlp_writer_fixed64(w, TIME, "timeUnixNano", time_ns);
  }
  wr_otlp_writer_fixed64(w, OBSERVED_TIME, "observedTimeUnixNano", now_ns);
  put_severity(w, text_of(line, "level"));
  wr_otlp_writer_message(w, BODY, "body");
  wr_otlp_writer_text(w, STRING_VALUE, "stringValue", message.ptr ? message : event);
  wr_otlp_writer_message_end(w);
  put_id(w, TRACE_ID, "traceId", text_of(line, "trace_id"));
  put_id(w, SPAN_ID, "spanId", text_of(line, "span_id"));
  wr_otlp_writer_text(w, EVENT_NAME, "eventName", event);
  put_attributes(w, line);
  json_decref(line);
  return wr_otlp_batch_end(b);
}
