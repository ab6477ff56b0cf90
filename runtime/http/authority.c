#include "http/authority.h"

#include "base/check.h"
#include "base/decimal.h"
#include "http/chars.h"

#include <arpa/inet.h>

// Text of an IPv6 address is at most 45 bytes.
enum { IPV6_TEXT = INET6_ADDRSTRLEN };

static bool read_ipv6(struct wr_str text, struct in6_addr *address)
{
  char copy[IPV6_TEXT];
  if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.ptr, 0, text.len)) return false;
  memcpy(copy, text.ptr, text.len);
  copy[text.len] = '\0';
  return inet_pton(AF_INET6, copy, address) == 1;
}

static bool read_port(struct wr_str text, uint16_t *port)
{
  unsigned value = 0;
  if (text.len > 5) return false;
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] < '0' || text.ptr[i] > '9') return false;
    value = value * 10 + (unsigned)(text.ptr[i] - '0');
  }
  if (value == 0 || value > UINT16_MAX) return false;
  *port = (uint16_t)value;
  return true;
}

static bool is_name(struct wr_str name)
{
  bool is_label_empty = true;
  for (size_t i = 0; i < name.len; i++) {
    if (!wr_chars_is(name.ptr[i], WR_CHARS_UNRESERVED)) return false;
    bool is_dot = name.ptr[i] == '.';
    if (is_dot && is_label_empty) return false;
    is_label_empty = is_dot;
  }
  return !is_label_empty;
}

// Cuts "[...]" off the front of `*rest`.
static const char *take_ipv6(struct wr_authority *a, struct wr_str *rest)
{
  struct in6_addr address;
  const char *close = memchr(rest->ptr, ']', rest->len);
  if (close == NULL) return "the host's IPv6 literal has no closing bracket";
  a->is_ipv6 = true;
  a->name = (struct wr_str){rest->ptr + 1, (size_t)(close - rest->ptr) - 1};
  if (memchr(a->name.ptr, '%', a->name.len)) return "zone ids of IPv6 addresses are not taken";
  if (!read_ipv6(a->name, &address)) return "the host is not an IPv6 address";
  rest->len -= (size_t)(close + 1 - rest->ptr);
  rest->ptr = close + 1;
  return NULL;
}

// Cuts a registered name or an IPv4 address off the front of `*rest`.
static const char *take_name(struct wr_authority *a, struct wr_str *rest)
{
  const char *colon = memchr(rest->ptr, ':', rest->len);
  a->name = (struct wr_str){rest->ptr, colon ? (size_t)(colon - rest->ptr) : rest->len};
  rest->ptr += a->name.len;
  rest->len -= a->name.len;
  if (a->name.len > 1 && a->name.ptr[a->name.len - 1] == '.') a->name.len--;
  if (a->name.len > WR_AUTHORITY_NAME_MAX) return "the host is too long";
  return is_name(a->name) ? NULL : "the host is not a name";
}

const char *wr_authority_parse(struct wr_authority *a, struct wr_str text)
{
  *a = (struct wr_authority){0};
  if (text.len == 0) return "the host is empty";
  const char *fault = text.ptr[0] == '[' ? take_ipv6(a, &text) : take_name(a, &text);
  if (fault != NULL) return fault;
  if (text.len == 0) return NULL;
  if (text.ptr[0] != ':') return "the host is followed by something that is not a port";
  if (text.len == 1) return NULL;
  a->has_port = read_port((struct wr_str){text.ptr + 1, text.len - 1}, &a->port);
  return a->has_port ? NULL : "the host's port is not 1 to 65535";
}

size_t wr_authority_write_host(const struct wr_authority *a, char out[WR_AUTHORITY_TEXT])
{
  struct in6_addr address;
  if (a->is_ipv6 && read_ipv6(a->name, &address)) {
    inet_ntop(AF_INET6, &address, out, WR_AUTHORITY_TEXT);
    return strlen(out);
  }
  for (size_t i = 0; i < a->name.len; i++) out[i] = wr_str_lower(a->name.ptr[i]);
  out[a->name.len] = '\0';
  return a->name.len;
}

size_t wr_authority_write(const struct wr_authority *a, uint16_t default_port,
                          char out[WR_AUTHORITY_TEXT])
{
  size_t at = a->is_ipv6 ? 1 : 0;
  char host[WR_AUTHORITY_TEXT];
  size_t len = wr_authority_write_host(a, host);
  if (a->is_ipv6) out[0] = '[';
  memcpy(out + at, host, len);
  at += len;
  if (a->is_ipv6) out[at++] = ']';
  out[at] = '\0';
  if (!a->has_port || a->port == default_port) return at;
  WR_CHECK(at + 1 + WR_DECIMAL_SIZE <= WR_AUTHORITY_TEXT);
  out[at++] = ':';
  return at + wr_decimal_write(out + at, a->port);
}
