#include "base/network.h"

#include <arpa/inet.h>

static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool wr_network_address(struct wr_str text, unsigned char out[16])
{
  char copy[WR_NETWORK_TEXT_SIZE];
  if (text.len == 0 || text.len >= sizeof(copy)) return false;
  // inet_pton would stop at a NUL.
  if (memchr(text.ptr, '\0', text.len) != NULL) return false;
  memcpy(copy, text.ptr, text.len);
  copy[text.len] = '\0';
  if (memchr(text.ptr, ':', text.len) != NULL) return inet_pton(AF_INET6, copy, out) == 1;
  memcpy(out, mapped, sizeof(mapped));
  return inet_pton(AF_INET, copy, out + 12) == 1;
}

void wr_network_text(const unsigned char address[16], char *out)
{
  bool is_v4 = memcmp(address, mapped, sizeof(mapped)) == 0;
  inet_ntop(is_v4 ? AF_INET : AF_INET6, is_v4 ? address + 12 : address, out, WR_NETWORK_TEXT_SIZE);
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

static bool parse(struct wr_str network, struct wr_network *out)
{
  struct wr_str bits = network;
  struct wr_str address = wr_str_split(&bits, '/');
  *out = (struct wr_network){.bits = 128};
  if (!wr_network_address(address, out->bytes)) return false;
  if (bits.ptr == NULL) return true;
  if (memchr(address.ptr, ':', address.len) != NULL) return parse_bits(bits, 128, &out->bits);
  if (!parse_bits(bits, 32, &out->bits)) return false;
  out->bits = (uint8_t)(out->bits + 96);
  return true;
}

bool wr_networks_add(struct wr_networks *n, struct wr_str network, struct wr_error *error)
{
  if (wr_str_eq(network, WR_STR("unix"))) {
    n->has_unix = true;
    return true;
  }
  if (n->count == WR_NETWORK_LIST_MAX) {
    wr_error_set(error, WR_ERROR_INVALID, "a list holds at most %d networks", WR_NETWORK_LIST_MAX);
    return false;
  }
  if (!parse(network, &n->items[n->count])) {
    wr_error_set(error, WR_ERROR_INVALID,
                 "'%.*s' is not a network: write \"10.0.0.0/8\", \"192.0.2.7\", \"fd00::/8\" or "
                 "\"unix\"",
                 WR_STR_ARG(network));
    return false;
  }
  n->count++;
  return true;
}

static bool is_inside(const struct wr_network *n, const unsigned char address[16])
{
  size_t whole = n->bits / 8;
  unsigned rest = n->bits % 8;
  if (memcmp(n->bytes, address, whole) != 0) return false;
  if (rest == 0) return true;
  unsigned mask = 0xffu << (8 - rest) & 0xffu;
  return ((n->bytes[whole] ^ address[whole]) & mask) == 0;
}

bool wr_networks_has(const struct wr_networks *n, struct wr_str address)
{
  unsigned char bytes[16];
  if (n->has_unix && wr_str_eq(address, WR_STR("unix"))) return true;
  if (n->count == 0 || !wr_network_address(address, bytes)) return false;
  for (size_t i = 0; i < n->count; i++) {
    if (is_inside(&n->items[i], bytes)) return true;
  }
  return false;
}
