#include "http/trace_context.h"

#include <endian.h>

enum {
  TRACE_AT = 3, // "00-" and so on
  SPAN_AT = TRACE_AT + WR_TRACE_ID_TEXT,
  FLAGS_AT = SPAN_AT + WR_TRACE_SPAN_TEXT,
  LONG_MEMBER = 128, // the first to go
  KEY_LEN = 256,
  TENANT_LEN = 241,
  SYSTEM_LEN = 14,
  VALUE_LEN = 256,
};

// --- traceparent --------------------------------------------------------------------------------

static int digit_of(char c)
{
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; // no capitals
}

static bool is_hex(const char *text, size_t len)
{
  for (size_t i = 0; i < len; i++) {
    if (digit_of(text[i]) < 0) return false;
  }
  return true;
}

static bool is_zero(const char *text, size_t len)
{
  for (size_t i = 0; i < len; i++) {
    if (text[i] != '0') return false;
  }
  return true;
}

static bool has_shape(struct wr_str v)
{
  if (v.len < WR_TRACE_PARENT_LEN || !is_hex(v.ptr, 2)) return false;
  bool is_first = memcmp(v.ptr, "00", 2) == 0;
  if (memcmp(v.ptr, "ff", 2) == 0 || (is_first && v.len != WR_TRACE_PARENT_LEN)) return false;
  if (v.len > WR_TRACE_PARENT_LEN && v.ptr[WR_TRACE_PARENT_LEN] != '-') return false;
  return v.ptr[TRACE_AT - 1] == '-' && v.ptr[SPAN_AT - 1] == '-' && v.ptr[FLAGS_AT - 1] == '-';
}

bool wr_trace_context_parent(struct wr_str v, struct wr_trace_context *out)
{
  if (!has_shape(v)) return false;
  const char *trace = v.ptr + TRACE_AT, *span = v.ptr + SPAN_AT, *flags = v.ptr + FLAGS_AT;
  if (!is_hex(trace, 32) || is_zero(trace, 32)) return false;
  if (!is_hex(span, 16) || is_zero(span, 16) || !is_hex(flags, 2)) return false;
  memcpy(out->trace_id, trace, 32);
  out->trace_id[32] = '\0';
  memcpy(out->span_id, span, 16);
  out->span_id[16] = '\0';
  // What other bits mean nobody knows yet: they are not passed on.
  out->flags = (uint8_t)(digit_of(flags[1]) & (WR_TRACE_SAMPLED | WR_TRACE_RANDOM));
  return true;
}

// Eight digits at once: four bits go to each byte, the first to the lowest, which stands first.
static void put_digits(uint32_t bits, char *out)
{
  const uint64_t ones = UINT64_C(0x0101010101010101);
  uint64_t v = __builtin_bswap32(bits);
  v = (v | v << 16) & UINT64_C(0x0000ffff0000ffff);
  v = (v | v << 8) & UINT64_C(0x00ff00ff00ff00ff);
  v = (v >> 4 | v << 8) & ones * 0x0f;
  uint64_t is_letter = (v + ones * 6) >> 4 & ones;
  v = htole64(v + ones * '0' + is_letter * ('a' - '0' - 10));
  memcpy(out, &v, sizeof(v));
}

void wr_trace_context_digits(uint64_t bits, char out[WR_TRACE_SPAN_TEXT])
{
  put_digits((uint32_t)(bits >> 32), out);
  put_digits((uint32_t)bits, out + 8);
  out[16] = '\0';
}

void wr_trace_context_write(const struct wr_trace_context *c, const char *span_id,
                            char out[WR_TRACE_PARENT_LEN + 1])
{
  memcpy(out, "00-", TRACE_AT);
  memcpy(out + TRACE_AT, c->trace_id, WR_TRACE_ID_TEXT - 1);
  out[SPAN_AT - 1] = '-';
  memcpy(out + SPAN_AT, span_id, WR_TRACE_SPAN_TEXT - 1);
  memcpy(out + FLAGS_AT - 1, "-0", 2);
  out[FLAGS_AT + 1] = (char)('0' + (c->flags & (WR_TRACE_SAMPLED | WR_TRACE_RANDOM)));
  out[WR_TRACE_PARENT_LEN] = '\0';
}

// --- tracestate ---------------------------------------------------------------------------------

static bool is_letter(char c)
{
  return c >= 'a' && c <= 'z';
}

static bool is_number(char c)
{
  return c >= '0' && c <= '9';
}

static bool is_name(struct wr_str s, size_t max)
{
  if (s.len == 0 || s.len > max) return false;
  for (size_t i = 0; i < s.len; i++) {
    char c = s.ptr[i];
    if (!is_letter(c) && !is_number(c) && memchr("_-*/", c, 4) == NULL) return false;
  }
  return true;
}

// "vendor", or "tenant@vendor", whose first half may begin with a digit.
static bool is_key(struct wr_str key)
{
  struct wr_str system = key;
  struct wr_str tenant = wr_str_split(&system, '@');
  if (system.ptr == NULL) return is_name(key, KEY_LEN) && is_letter(key.ptr[0]);
  return is_name(tenant, TENANT_LEN) && is_name(system, SYSTEM_LEN) && is_letter(system.ptr[0]);
}

static bool is_value(struct wr_str value)
{
  if (value.len == 0 || value.len > VALUE_LEN) return false;
  for (size_t i = 0; i < value.len; i++) {
    char c = value.ptr[i];
    if (c < ' ' || c > '~' || c == '=') return false;
  }
  return true;
}

static bool is_member(struct wr_str member)
{
  struct wr_str value = member;
  struct wr_str key = wr_str_split(&value, '=');
  return is_key(key) && is_value(value);
}

struct members {
  struct wr_str items[WR_TRACE_MEMBERS_MAX];
  size_t count;
  size_t len; // of all, with the commas between them
};

// False when a member is not valid, or there are too many.
static bool read_members(const struct wr_headers *headers, struct members *m)
{
  size_t at = 0;
  struct wr_str list;
  while ((list = wr_headers_each(headers, WR_STR("tracestate"), &at)).ptr != NULL) {
    while (list.ptr != NULL) {
      struct wr_str member = wr_str_trim(wr_str_split(&list, ','));
      if (member.len == 0) continue;
      if (!is_member(member) || m->count == WR_TRACE_MEMBERS_MAX) return false;
      m->items[m->count++] = member;
      m->len += member.len + 1;
    }
  }
  return m->count > 0;
}

static void drop(struct members *m, size_t at)
{
  m->len -= m->items[at].len + 1;
  m->count--;
  memmove(&m->items[at], &m->items[at + 1], (m->count - at) * sizeof(m->items[0]));
}

static void shorten(struct members *m)
{
  for (size_t i = m->count; i > 0 && m->len > WR_TRACE_STATE_MAX + 1; i--) {
    if (m->items[i - 1].len > LONG_MEMBER) drop(m, i - 1);
  }
  while (m->len > WR_TRACE_STATE_MAX + 1) drop(m, m->count - 1);
}

static struct wr_str join(const struct members *m, struct wr_region *region)
{
  char *text = m->count > 0 ? wr_region_take(region, m->len) : NULL;
  if (text == NULL) return (struct wr_str){NULL, 0};
  size_t at = 0;
  for (size_t i = 0; i < m->count; i++) {
    if (i > 0) text[at++] = ',';
    memcpy(text + at, m->items[i].ptr, m->items[i].len);
    at += m->items[i].len;
  }
  return (struct wr_str){text, at};
}

static struct wr_str read_state(const struct wr_headers *headers, struct wr_region *region)
{
  struct members m = {.count = 0};
  if (!wr_headers_may_have(headers, WR_FIELD_TRACESTATE) || !read_members(headers, &m)) {
    return (struct wr_str){NULL, 0};
  }
  shorten(&m);
  return join(&m, region);
}

bool wr_trace_context_read(const struct wr_headers *headers, struct wr_region *region,
                           struct wr_trace_context *out)
{
  if (!wr_headers_may_have(headers, WR_FIELD_TRACEPARENT)) return false;
  size_t at = 0;
  struct wr_str name = WR_STR("traceparent");
  struct wr_str parent = wr_headers_each(headers, name, &at);
  bool is_alone = wr_headers_each(headers, name, &at).ptr == NULL;
  if (!is_alone || !wr_trace_context_parent(parent, out)) return false;
  out->state = read_state(headers, region);
  return true;
}
