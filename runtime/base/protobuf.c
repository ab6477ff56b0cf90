#include "base/protobuf.h"

#include "base/check.h"
#include "base/utf8.h"

enum { VARINT = 0, FIXED64 = 1, LENGTH = 2, FIXED32 = 5 }; // wire types
enum { VARINT_SIZE = 10 };                                 // bytes of the longest

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "fixed values are copied as they lie");

void wr_protobuf_init(struct wr_protobuf *p, struct wr_buf *out)
{
  *p = (struct wr_protobuf){.out = out};
}

static void put(struct wr_protobuf *p, const void *data, size_t len)
{
  if (!p->failed && !wr_buf_append(p->out, data, len)) p->failed = true;
}

static size_t encode(uint64_t value, unsigned char out[VARINT_SIZE])
{
  size_t len = 0;
  for (; value >= 0x80; value >>= 7) out[len++] = (unsigned char)(value | 0x80);
  out[len++] = (unsigned char)value;
  return len;
}

static void put_varint(struct wr_protobuf *p, uint64_t value)
{
  unsigned char bytes[VARINT_SIZE];
  put(p, bytes, encode(value, bytes));
}

static void put_tag(struct wr_protobuf *p, uint32_t field, int type)
{
  put_varint(p, (uint64_t)field << 3 | (uint64_t)type);
}

void wr_protobuf_message(struct wr_protobuf *p, uint32_t field)
{
  WR_CHECK(p->depth < WR_PROTOBUF_DEPTH);
  put_tag(p, field, LENGTH);
  p->open[p->depth++] = p->out->len;
}

void wr_protobuf_message_end(struct wr_protobuf *p)
{
  WR_CHECK(p->depth > 0);
  size_t from = p->open[--p->depth];
  unsigned char length[VARINT_SIZE];
  if (p->failed) return;
  size_t content = p->out->len - from;
  size_t len = encode(content, length);
  put(p, length, len); // makes the room
  if (p->failed) return;
  char *at = wr_buf_head(p->out) + from;
  memmove(at + len, at, content);
  memcpy(at, length, len);
}

void wr_protobuf_varint(struct wr_protobuf *p, uint32_t field, uint64_t value)
{
  put_tag(p, field, VARINT);
  put_varint(p, value);
}

void wr_protobuf_fixed32(struct wr_protobuf *p, uint32_t field, uint32_t value)
{
  put_tag(p, field, FIXED32);
  put(p, &value, sizeof(value));
}

void wr_protobuf_fixed64(struct wr_protobuf *p, uint32_t field, uint64_t value)
{
  put_tag(p, field, FIXED64);
  put(p, &value, sizeof(value));
}

void wr_protobuf_double(struct wr_protobuf *p, uint32_t field, double value)
{
  put_tag(p, field, FIXED64);
  put(p, &value, sizeof(value));
}

void wr_protobuf_bytes(struct wr_protobuf *p, uint32_t field, struct wr_str value)
{
  put_tag(p, field, LENGTH);
  put_varint(p, value.len);
  if (value.len > 0) put(p, value.ptr, value.len);
}

void wr_protobuf_text(struct wr_protobuf *p, uint32_t field, struct wr_str value)
{
  size_t valid = wr_utf8_valid(value);
  if (valid == value.len) {
    wr_protobuf_bytes(p, field, value);
    return;
  }
  wr_protobuf_message(p, field);
  for (; value.len > 0; valid = wr_utf8_valid(value)) {
    put(p, value.ptr, valid);
    value.ptr += valid, value.len -= valid;
    if (value.len == 0) break;
    put(p, WR_UTF8_REPLACEMENT.ptr, WR_UTF8_REPLACEMENT.len);
    value.ptr++, value.len--;
  }
  wr_protobuf_message_end(p);
}

void wr_protobuf_varints(struct wr_protobuf *p, uint32_t field, const uint64_t *values,
                         size_t count)
{
  wr_protobuf_message(p, field);
  for (size_t i = 0; i < count; i++) put_varint(p, values[i]);
  wr_protobuf_message_end(p);
}

void wr_protobuf_fixed64s(struct wr_protobuf *p, uint32_t field, const uint64_t *values,
                          size_t count)
{
  wr_protobuf_bytes(p, field, (struct wr_str){(const char *)values, count * sizeof(*values)});
}

void wr_protobuf_doubles(struct wr_protobuf *p, uint32_t field, const double *values, size_t count)
{
  wr_protobuf_bytes(p, field, (struct wr_str){(const char *)values, count * sizeof(*values)});
}
