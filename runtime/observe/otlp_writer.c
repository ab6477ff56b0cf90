#include "observe/otlp_writer.h"

#include "base/decimal.h"

#include <math.h>
#include <stdio.h>

enum { ID_BYTES = 16 };                                         // of the longer kind
enum { KEY = 1, VALUE = 2 };                                    // KeyValue
enum { STRING_VALUE = 1, BOOL_VALUE, INT_VALUE, DOUBLE_VALUE }; // AnyValue

void wr_otlp_writer_init(struct wr_otlp_writer *w, struct wr_buf *out, bool is_json)
{
  *w = (struct wr_otlp_writer){.is_json = is_json};
  wr_protobuf_init(&w->protobuf, out);
  wr_json_init(&w->json, out);
}

bool wr_otlp_writer_is_whole(const struct wr_otlp_writer *w)
{
  return w->is_json ? !w->json.failed : !w->protobuf.failed;
}

void wr_otlp_writer_message(struct wr_otlp_writer *w, uint32_t field, const char *name)
{
  if (w->is_json) {
    wr_json_key(&w->json, name);
    wr_json_object(&w->json);
  } else {
    wr_protobuf_message(&w->protobuf, field);
  }
}

void wr_otlp_writer_message_end(struct wr_otlp_writer *w)
{
  if (w->is_json) {
    wr_json_object_end(&w->json);
  } else {
    wr_protobuf_message_end(&w->protobuf);
  }
}

void wr_otlp_writer_list(struct wr_otlp_writer *w, const char *name)
{
  if (!w->is_json) return;
  wr_json_key(&w->json, name);
  wr_json_array(&w->json);
}

void wr_otlp_writer_list_end(struct wr_otlp_writer *w)
{
  if (w->is_json) wr_json_array_end(&w->json);
}

void wr_otlp_writer_item(struct wr_otlp_writer *w, uint32_t field)
{
  if (w->is_json) {
    wr_json_object(&w->json);
  } else {
    wr_protobuf_message(&w->protobuf, field);
  }
}

void wr_otlp_writer_item_end(struct wr_otlp_writer *w)
{
  wr_otlp_writer_message_end(w);
}

void wr_otlp_writer_text(struct wr_otlp_writer *w, uint32_t field, const char *name,
                         struct wr_str value)
{
  if (w->is_json) {
    wr_json_field_str(&w->json, name, value);
  } else {
    wr_protobuf_text(&w->protobuf, field, value);
  }
}

static unsigned char nibble(char c)
{
  return (unsigned char)(c <= '9' ? c - '0' : c - 'a' + 10);
}

void wr_otlp_writer_id(struct wr_otlp_writer *w, uint32_t field, const char *name,
                       const char *digits)
{
  if (w->is_json) {
    wr_json_field_cstr(&w->json, name, digits);
    return;
  }
  char bytes[ID_BYTES];
  size_t len = strlen(digits) / 2;
  for (size_t i = 0; i < len && i < ID_BYTES; i++) {
    bytes[i] = (char)(nibble(digits[2 * i]) << 4 | nibble(digits[2 * i + 1]));
  }
  wr_protobuf_bytes(&w->protobuf, field, (struct wr_str){bytes, len});
}

void wr_otlp_writer_small(struct wr_otlp_writer *w, uint32_t field, const char *name,
                          uint32_t value)
{
  if (w->is_json) {
    wr_json_field_uint(&w->json, name, value);
  } else {
    wr_protobuf_varint(&w->protobuf, field, value);
  }
}

void wr_otlp_writer_signed(struct wr_otlp_writer *w, uint32_t field, const char *name,
                           int32_t value)
{
  if (w->is_json) {
    wr_json_key(&w->json, name);
    wr_json_num(&w->json, value);
  } else {
    wr_protobuf_varint(&w->protobuf, field, (uint32_t)value << 1 ^ (value < 0 ? UINT32_MAX : 0));
  }
}

void wr_otlp_writer_fixed32(struct wr_otlp_writer *w, uint32_t field, const char *name,
                            uint32_t value)
{
  if (w->is_json) {
    wr_json_field_uint(&w->json, name, value);
  } else {
    wr_protobuf_fixed32(&w->protobuf, field, value);
  }
}

// Numbers of 64 bits are text in JSON: its readers have doubles.
static void put_digits(struct wr_json *j, uint64_t value)
{
  char digits[WR_DECIMAL_SIZE];
  wr_decimal_write(digits, value);
  wr_json_cstr(j, digits);
}

void wr_otlp_writer_fixed64(struct wr_otlp_writer *w, uint32_t field, const char *name,
                            uint64_t value)
{
  if (w->is_json) {
    wr_json_key(&w->json, name);
    put_digits(&w->json, value);
  } else {
    wr_protobuf_fixed64(&w->protobuf, field, value);
  }
}

// What JSON has no number for is a word, in JSON's mapping of protobuf.
static void put_double(struct wr_json *j, double value)
{
  if (isnan(value)) {
    wr_json_cstr(j, "NaN");
  } else if (isinf(value)) {
    wr_json_cstr(j, value > 0 ? "Infinity" : "-Infinity");
  } else {
    wr_json_num(j, value);
  }
}

void wr_otlp_writer_double(struct wr_otlp_writer *w, uint32_t field, const char *name, double value)
{
  if (w->is_json) {
    wr_json_key(&w->json, name);
    put_double(&w->json, value);
  } else {
    wr_protobuf_double(&w->protobuf, field, value);
  }
}

void wr_otlp_writer_bool(struct wr_otlp_writer *w, uint32_t field, const char *name, bool value)
{
  if (w->is_json) {
    wr_json_field_bool(&w->json, name, value);
  } else {
    wr_protobuf_varint(&w->protobuf, field, value);
  }
}

static void put_list_of_digits(struct wr_json *j, const char *name, const uint64_t *values,
                               size_t count)
{
  wr_json_key(j, name);
  wr_json_array(j);
  for (size_t i = 0; i < count; i++) put_digits(j, values[i]);
  wr_json_array_end(j);
}

void wr_otlp_writer_fixed64s(struct wr_otlp_writer *w, uint32_t field, const char *name,
                             const uint64_t *values, size_t count)
{
  if (w->is_json) {
    put_list_of_digits(&w->json, name, values, count);
  } else {
    wr_protobuf_fixed64s(&w->protobuf, field, values, count);
  }
}

void wr_otlp_writer_counts(struct wr_otlp_writer *w, uint32_t field, const char *name,
                           const uint64_t *values, size_t count)
{
  if (w->is_json) {
    put_list_of_digits(&w->json, name, values, count);
  } else {
    wr_protobuf_varints(&w->protobuf, field, values, count);
  }
}

void wr_otlp_writer_doubles(struct wr_otlp_writer *w, uint32_t field, const char *name,
                            const double *values, size_t count)
{
  if (!w->is_json) {
    wr_protobuf_doubles(&w->protobuf, field, values, count);
    return;
  }
  wr_json_key(&w->json, name);
  wr_json_array(&w->json);
  for (size_t i = 0; i < count; i++) put_double(&w->json, values[i]);
  wr_json_array_end(&w->json);
}

// --- attributes ---------------------------------------------------------------------------------

void wr_otlp_writer_attributes(struct wr_otlp_writer *w, uint32_t field)
{
  w->attributes = field;
  wr_otlp_writer_list(w, "attributes");
}

void wr_otlp_writer_attributes_end(struct wr_otlp_writer *w)
{
  wr_otlp_writer_list_end(w);
}

static void begin(struct wr_otlp_writer *w, struct wr_str key)
{
  wr_otlp_writer_item(w, w->attributes);
  wr_otlp_writer_text(w, KEY, "key", key);
  wr_otlp_writer_message(w, VALUE, "value");
}

static void end(struct wr_otlp_writer *w)
{
  wr_otlp_writer_message_end(w);
  wr_otlp_writer_item_end(w);
}

void wr_otlp_writer_attribute(struct wr_otlp_writer *w, struct wr_str key, struct wr_str value)
{
  begin(w, key);
  wr_otlp_writer_text(w, STRING_VALUE, "stringValue", value);
  end(w);
}

void wr_otlp_writer_attribute_int(struct wr_otlp_writer *w, const char *key, int64_t value)
{
  begin(w, wr_str_of(key));
  if (w->is_json) {
    char digits[WR_DECIMAL_SIZE + 1];
    snprintf(digits, sizeof(digits), "%lld", (long long)value);
    wr_json_field_cstr(&w->json, "intValue", digits);
  } else {
    wr_protobuf_varint(&w->protobuf, INT_VALUE, (uint64_t)value);
  }
  end(w);
}

void wr_otlp_writer_attribute_double(struct wr_otlp_writer *w, const char *key, double value)
{
  begin(w, wr_str_of(key));
  wr_otlp_writer_double(w, DOUBLE_VALUE, "doubleValue", value);
  end(w);
}

void wr_otlp_writer_attribute_bool(struct wr_otlp_writer *w, const char *key, bool value)
{
  begin(w, wr_str_of(key));
  wr_otlp_writer_bool(w, BOOL_VALUE, "boolValue", value);
  end(w);
}
