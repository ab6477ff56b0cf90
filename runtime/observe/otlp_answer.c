#include "observe/otlp_answer.h"

#include "base/check.h"

#include <jansson.h>

// In all three answers the partial success is field 1, and there the count is.
enum { PARTIAL_SUCCESS = 1, REJECTED = 1 };
enum { VARINT = 0, FIXED64 = 1, LENGTH = 2, FIXED32 = 5 }; // wire types

// --- protobuf -----------------------------------------------------------------------------------

struct field {
  uint64_t number;
  uint64_t value; // of a varint
  struct wr_str bytes;
};

static bool take_varint(struct wr_str *rest, uint64_t *out)
{
  *out = 0;
  for (unsigned shift = 0; shift < 64 && rest->len > 0; shift += 7) {
    unsigned char c = (unsigned char)rest->ptr[0];
    rest->ptr++, rest->len--;
    *out |= (uint64_t)(c & 0x7f) << shift;
    if (c < 0x80) return true;
  }
  return false;
}

static bool take_bytes(struct wr_str *rest, uint64_t len, struct wr_str *out)
{
  if (len > rest->len) return false;
  *out = (struct wr_str){rest->ptr, (size_t)len};
  rest->ptr += len, rest->len -= (size_t)len;
  return true;
}

static bool next_field(struct wr_str *rest, struct field *out)
{
  uint64_t tag;
  *out = (struct field){0};
  if (!take_varint(rest, &tag)) return false;
  out->number = tag >> 3;
  switch (tag & 7) {
  case VARINT: return take_varint(rest, &out->value);
  case FIXED64: return take_bytes(rest, 8, &out->bytes);
  case FIXED32: return take_bytes(rest, 4, &out->bytes);
  case LENGTH: return take_varint(rest, &out->value) && take_bytes(rest, out->value, &out->bytes);
  default: return false;
  }
}

static uint64_t read_protobuf(struct wr_str body)
{
  struct field outer, inner;
  uint64_t rejected = 0;
  while (next_field(&body, &outer)) {
    if (outer.number != PARTIAL_SUCCESS) continue;
    while (next_field(&outer.bytes, &inner)) {
      if (inner.number == REJECTED) rejected = inner.value;
    }
  }
  return rejected;
}

// --- JSON ---------------------------------------------------------------------------------------

// 64 bits are text in JSON, or a number all the same.
static uint64_t number_of(const json_t *value)
{
  uint64_t out = 0;
  if (json_is_integer(value) && json_integer_value(value) > 0) {
    return (uint64_t)json_integer_value(value);
  }
  const char *at = json_is_string(value) ? json_string_value(value) : "";
  for (; *at >= '0' && *at <= '9' && out < UINT32_MAX; at++) out = out * 10 + (uint64_t)(*at - '0');
  return out;
}

static uint64_t read_json(struct wr_str body)
{
  static const char *const names[] = {"rejectedSpans", "rejectedDataPoints", "rejectedLogRecords"};
  json_t *answer = json_loadb(body.ptr ? body.ptr : "", body.len, 0, NULL);
  const json_t *partial = json_object_get(answer, "partialSuccess");
  uint64_t rejected = 0;
  for (size_t i = 0; i < WR_COUNT(names); i++) {
    rejected += number_of(json_object_get(partial, names[i]));
  }
  json_decref(answer);
  return rejected;
}

uint64_t wr_otlp_answer_rejected(struct wr_str body, bool is_json)
{
  return is_json ? read_json(body) : read_protobuf(body);
}
