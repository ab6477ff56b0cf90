#include "script/trust.h"

#include <arpa/inet.h>

enum { TEXT_MAX = 64 };

static bool parse_address(struct wr_str text, unsigned char out[16], bool *is_v4)
{
  char copy[TEXT_MAX];
  if (text.len == 0 || text.len >= sizeof(copy)) return false;
  memcpy(copy, text.ptr, text.len);
  copy[text.len] = '\0';
  *is_v4 = memchr(text.ptr, ':', text.len) == NULL;
  if (!*is_v4) return inet_pton(AF_INET6, copy, out) == 1;
  memset(out, 0, 10);
  out[10] = out[11] = 0xff;
  return inet_pton(AF_INET, copy, out + 12) == 1;
}

static bool parse_bits(struct wr_str text, uint8_t max, uint8_t *out)
{
  unsigned value = 0;
  if (text.len == 0 || text.len > 3) return false;
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] < '0' || text.ptr[i] > '9') return false;
    value = value * 10 + (unsigned)(text.ptr[i] - '0');
  }
  *out = (uint8_t)value;
  return value <= max;
}

bool wr_trust_add(struct wr_trust *t, struct wr_str network, struct wr_error *error)
{
  struct wr_str bits = network;
  struct wr_str address = wr_str_split(&bits, '/');
  struct wr_trust_network parsed = {.bits = 128};
  bool is_v4 = false;
  if (t->count == WR_TRUST_MAX) {
    wr_error_set(error, WR_ERROR_INVALID, "at most %d networks can be trusted", WR_TRUST_MAX);
    return false;
  }
  bool ok = parse_address(address, parsed.bytes, &is_v4);
  if (ok && bits.ptr != NULL) {
    ok = parse_bits(bits, is_v4 ? 32 : 128, &parsed.bits);
    if (is_v4) parsed.bits = (uint8_t)(parsed.bits + 96);
  }
  if (!ok) {
    wr_error_set(error, WR_ERROR_INVALID,
                 "'%.*s' is not a network: write \"10.0.0.0/8\", \"192.0.2.7\" or \"fd00::/8\"",
                 WR_STR_ARG(network));
    return false;
  }
  t->networks[t->count++] = parsed;
  return true;
}

static bool is_inside(const struct wr_trust_network *n, const unsigned char address[16])
{
  size_t whole = n->bits / 8;
  unsigned rest = n->bits % 8;
  if (memcmp(n->bytes, address, whole) != 0) return false;
  if (rest == 0) return true;
  unsigned mask = 0xffu << (8 - rest) & 0xffu;
  return ((n->bytes[whole] ^ address[whole]) & mask) == 0;
}

bool wr_trust_has(const struct wr_trust *t, struct wr_str address)
{
  unsigned char bytes[16];
  bool is_v4;
  if (t->count == 0 || !parse_address(address, bytes, &is_v4)) return false;
  for (size_t i = 0; i < t->count; i++) {
    if (is_inside(&t->networks[i], bytes)) return true;
  }
  return false;
}

// The last element of a comma-separated list, cut off `*list`; absent when the list is empty.
static struct wr_str last_element(struct wr_str *list)
{
  if (list->ptr == NULL) return (struct wr_str){NULL, 0};
  const char *comma = list->len > 0 ? memrchr(list->ptr, ',', list->len) : NULL;
  struct wr_str last = *list;
  if (comma == NULL) {
    *list = (struct wr_str){NULL, 0};
  } else {
    last = (struct wr_str){comma + 1, list->len - (size_t)(comma + 1 - list->ptr)};
    list->len = (size_t)(comma - list->ptr);
  }
  return wr_str_trim(last);
}

struct wr_str wr_trust_client(const struct wr_trust *t, struct wr_str peer,
                              const struct wr_headers *headers)
{
  struct wr_str client = peer;
  struct wr_str fields[8];
  size_t count = 0;
  size_t at = 0;
  if (!wr_trust_has(t, peer)) return peer;
  // Several fields are one list, in their order; more than eight is nobody's proxy chain.
  while (count < 8 &&
         (fields[count] = wr_headers_each(headers, WR_STR("X-Forwarded-For"), &at)).ptr != NULL) {
    count++;
  }
  while (count > 0) {
    struct wr_str list = fields[--count];
    struct wr_str element;
    while ((element = last_element(&list)).ptr != NULL) {
      unsigned char bytes[16];
      bool is_v4;
      if (!parse_address(element, bytes, &is_v4)) return client;
      client = element;
      if (!wr_trust_has(t, element)) return client;
    }
  }
  return client;
}
