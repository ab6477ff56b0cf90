#include "base/json.h"

#include "base/decimal.h"
#include "base/json_plain.h"
#include "base/utf8.h"

#include <math.h>
#include <stdio.h>

void wr_json_init(struct wr_json *j, struct wr_buf *out)
{
  *j = (struct wr_json){.out = out};
}

static void put(struct wr_json *j, const char *text, size_t len)
{
  if (!wr_buf_append(j->out, text, len)) j->failed = true;
}

static void before_value(struct wr_json *j)
{
  if (j->need_comma) put(j, ",", 1);
  j->need_comma = true;
}

static void open_with(struct wr_json *j, const char *bracket)
{
  before_value(j);
  put(j, bracket, 1);
  j->need_comma = false;
}

static void close_with(struct wr_json *j, const char *bracket)
{
  put(j, bracket, 1);
  j->need_comma = true;
}

void wr_json_object(struct wr_json *j)
{
  open_with(j, "{");
}

void wr_json_object_end(struct wr_json *j)
{
  close_with(j, "}");
}

void wr_json_array(struct wr_json *j)
{
  open_with(j, "[");
}

void wr_json_array_end(struct wr_json *j)
{
  close_with(j, "]");
}

static void put_escape(struct wr_json *j, unsigned char c)
{
  static const char shorts[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
                                ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\'};
  char text[8];
  if (c < sizeof(shorts) && shorts[c] != 0) {
    text[0] = '\\';
    text[1] = shorts[c];
    put(j, text, 2);
    return;
  }
  int len = snprintf(text, sizeof(text), "\\u%04x", c);
  put(j, text, (size_t)len);
}

// Copies eight bytes. False: one of them is not plain.
static bool copy_plain_word(char *out, const char *from)
{
  uint64_t v;
  memcpy(&v, from, sizeof(v));
  memcpy(out, &v, sizeof(v));
  return wr_json_special(v) == 0;
}

// Copies `s`. False: not all of it is plain.
static bool copy_plain(char *out, struct wr_str s)
{
  const size_t word = sizeof(uint64_t);
  if (s.len < word) {
    bool ok = true;
    for (size_t i = 0; i < s.len; i++) {
      out[i] = s.ptr[i];
      ok &= wr_json_is_plain((unsigned char)s.ptr[i]);
    }
    return ok;
  }
  for (size_t at = 0; at + word <= s.len; at += word) {
    if (!copy_plain_word(out + at, s.ptr + at)) return false;
  }
  return copy_plain_word(out + s.len - word, s.ptr + s.len - word);
}

// Writes it in quotes and returns the end; NULL when it is not plain.
static char *quote_plain(char *out, struct wr_str s)
{
  *out = '"';
  if (!copy_plain(out + 1, s)) return NULL;
  out[s.len + 1] = '"';
  return out + s.len + 2;
}

// Most texts are plain: they go in one piece, with what stands around them.
static bool put_plain(struct wr_json *j, struct wr_str s, struct wr_str behind)
{
  char *out = wr_buf_reserve(j->out, s.len + 2 + behind.len);
  if (out == NULL) return false;
  char *end = quote_plain(out, s);
  if (end == NULL) return false;
  wr_buf_grow(j->out, (size_t)(wr_str_put(end, behind) - out));
  return true;
}

static void put_string(struct wr_json *j, struct wr_str s, struct wr_str behind)
{
  if (put_plain(j, s, behind)) return;
  put(j, "\"", 1);
  size_t from = 0;
  size_t at = 0;
  while (at < s.len) {
    unsigned char c = (unsigned char)s.ptr[at];
    size_t len = wr_utf8_length((const unsigned char *)s.ptr + at, s.len - at);
    if (len > 0 && (wr_json_is_plain(c) || c >= 0x80)) {
      at += len;
      continue;
    }
    put(j, s.ptr + from, at - from);
    if (len == 0) {
      put(j, "\xef\xbf\xbd", 3);
    } else {
      put_escape(j, c);
    }
    from = ++at;
  }
  put(j, s.ptr + from, s.len - from);
  put(j, "\"", 1);
  put(j, behind.ptr, behind.len);
}

void wr_json_key_str(struct wr_json *j, struct wr_str key)
{
  before_value(j);
  put_string(j, key, WR_STR(":"));
  j->need_comma = false;
}

void wr_json_key(struct wr_json *j, const char *key)
{
  wr_json_key_str(j, wr_str_of(key));
}

void wr_json_str(struct wr_json *j, struct wr_str value)
{
  before_value(j);
  put_string(j, value, WR_STR(""));
}

void wr_json_cstr(struct wr_json *j, const char *value)
{
  if (value == NULL) {
    wr_json_null(j);
  } else {
    wr_json_str(j, wr_str_of(value));
  }
}

void wr_json_int(struct wr_json *j, int64_t value)
{
  before_value(j);
  if (!wr_buf_printf(j->out, "%lld", (long long)value)) j->failed = true;
}

void wr_json_uint(struct wr_json *j, uint64_t value)
{
  before_value(j);
  char text[WR_DECIMAL_SIZE];
  put(j, text, wr_decimal_write(text, value));
}

// Numbers of at most three decimals, as times in milliseconds are: their digits without printf.
// Writes THOUSANDTHS_SIZE bytes at most and returns how many; 0 when it is not one of these.
enum { THOUSANDTHS_SIZE = WR_DECIMAL_SIZE + 4 };

static size_t write_thousandths(char *text, double value)
{
  if (signbit(value) || value >= 1e12) return 0;
  uint64_t scaled = (uint64_t)(value * 1e3 + 0.5);
  if ((double)scaled / 1e3 != value) return 0;
  size_t len = wr_decimal_write(text, scaled / 1000);
  uint64_t rest = scaled % 1000;
  if (rest > 0) text[len++] = '.';
  for (uint64_t unit = 100; rest > 0; unit /= 10) {
    text[len++] = (char)('0' + rest / unit);
    rest %= unit;
  }
  return len;
}

void wr_json_num(struct wr_json *j, double value)
{
  if (!isfinite(value)) {
    wr_json_null(j);
    return;
  }
  before_value(j);
  char text[THOUSANDTHS_SIZE + 8];
  size_t simple = write_thousandths(text, value);
  if (simple > 0) {
    put(j, text, simple);
    return;
  }
  int len = snprintf(text, sizeof(text), "%.15g", value);
  // 15 digits read best; 17 are needed for the few numbers that 15 do not carry.
  double back = 0;
  if (sscanf(text, "%lf", &back) != 1 || back != value) {
    len = snprintf(text, sizeof(text), "%.17g", value);
  }
  put(j, text, (size_t)len);
}

void wr_json_bool(struct wr_json *j, bool value)
{
  before_value(j);
  put(j, value ? "true" : "false", value ? 4 : 5);
}

void wr_json_null(struct wr_json *j)
{
  before_value(j);
  put(j, "null", 4);
}

void wr_json_field_str(struct wr_json *j, const char *key, struct wr_str value)
{
  wr_json_key(j, key);
  wr_json_str(j, value);
}

void wr_json_field_cstr(struct wr_json *j, const char *key, const char *value)
{
  wr_json_key(j, key);
  wr_json_cstr(j, value);
}

void wr_json_field_uint(struct wr_json *j, const char *key, uint64_t value)
{
  wr_json_key(j, key);
  wr_json_uint(j, value);
}

void wr_json_field_num(struct wr_json *j, const char *key, double value)
{
  wr_json_key(j, key);
  wr_json_num(j, value);
}

void wr_json_field_bool(struct wr_json *j, const char *key, bool value)
{
  wr_json_key(j, key);
  wr_json_bool(j, value);
}

// --- members by constant keys -------------------------------------------------------------------

// Lines that are written at every request consist of these: each is written in one piece.

// Room for `,"key":` and `more` bytes behind, with the former written; NULL when there is none.
static char *open_member(struct wr_json *j, struct wr_str key, size_t more)
{
  struct wr_buf *b = j->out;
  size_t need = key.len + 4 + more;
  char *out = wr_buf_head(b) + b->len;
  bool has_room = need <= b->cap - b->start - b->len && need <= b->max - b->len;
  if (!has_room && (out = wr_buf_reserve(b, need)) == NULL) {
    j->failed = true;
    return NULL;
  }
  *out = ',';
  out += j->need_comma;
  *out++ = '"';
  out = wr_str_put(out, key);
  *out++ = '"';
  *out++ = ':';
  j->need_comma = true;
  return out;
}

static void close_member(struct wr_json *j, const char *end)
{
  j->out->len = (size_t)(end - wr_buf_head(j->out));
}

void wr_json_member_str(struct wr_json *j, struct wr_str key, struct wr_str value)
{
  char *out = open_member(j, key, value.len + 2);
  if (out == NULL) return;
  char *end = value.ptr ? quote_plain(out, value) : NULL;
  close_member(j, end ? end : out);
  if (end != NULL) return;
  j->need_comma = false; // the key has had its own
  value.ptr ? wr_json_str(j, value) : wr_json_null(j);
}

void wr_json_member_uint(struct wr_json *j, struct wr_str key, uint64_t value)
{
  char *out = open_member(j, key, WR_DECIMAL_SIZE);
  if (out != NULL) close_member(j, out + wr_decimal_write(out, value));
}

void wr_json_member_num(struct wr_json *j, struct wr_str key, double value)
{
  char *out = open_member(j, key, THOUSANDTHS_SIZE);
  if (out == NULL) return;
  size_t len = write_thousandths(out, value);
  close_member(j, out + len);
  if (len > 0) return;
  j->need_comma = false;
  wr_json_num(j, value);
}
