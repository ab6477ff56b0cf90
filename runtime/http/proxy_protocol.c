#include "http/proxy_protocol.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <stdio.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

enum {
  SIGNATURE_LEN = 12,
  V2_HEAD = 16, // signature, version and command, family, length
  V4_ADDRESS = 4,
  V6_ADDRESS = 16,
  V4_BLOCK = 12, // two addresses and two ports
  V6_BLOCK = 36,
  UNIX_BLOCK = 2 * WR_PROXY_PROTOCOL_PATH,
};

// Of version 2.
enum { LOCAL = 0, PROXY = 1 };
enum { FAMILY_NONE = 0x00, FAMILY_V4 = 0x11, FAMILY_V6 = 0x21, FAMILY_UNIX = 0x31 };

static enum wr_proxy_protocol_status bad(struct wr_proxy_protocol *out, const char *reason)
{
  out->reason = reason;
  return WR_PROXY_PROTOCOL_BAD;
}

// Version 1: a line of text.

static bool parse_port(struct wr_str text, uint16_t *out)
{
  unsigned value = 0;
  if (text.len == 0 || text.len > 5 || (text.len > 1 && text.ptr[0] == '0')) return false;
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] < '0' || text.ptr[i] > '9') return false;
    value = value * 10 + (unsigned)(text.ptr[i] - '0');
  }
  *out = (uint16_t)value;
  return value <= 65535;
}

static bool parse_address(struct wr_str text, bool is_v6, unsigned char out[16])
{
  bool has_colon = text.len > 0 && memchr(text.ptr, ':', text.len) != NULL;
  return has_colon == is_v6 && wr_network_address(text, out);
}

// "192.0.2.1 198.51.100.1 56324 443"
static bool parse_v1_rest(struct wr_str rest, bool is_v6, struct wr_proxy_protocol *out)
{
  struct wr_str source = wr_str_split(&rest, ' ');
  struct wr_str target = wr_str_split(&rest, ' ');
  struct wr_str source_port = wr_str_split(&rest, ' ');
  return parse_address(source, is_v6, out->address) && parse_address(target, is_v6, out->to) &&
         parse_port(source_port, &out->port) && parse_port(rest, &out->to_port);
}

static enum wr_proxy_protocol_status parse_v1(struct wr_str line, struct wr_proxy_protocol *out)
{
  struct wr_str rest = line;
  wr_str_split(&rest, ' ');
  struct wr_str family = wr_str_split(&rest, ' ');
  // What follows UNKNOWN is to be ignored.
  if (wr_str_eq(family, WR_STR("UNKNOWN"))) return WR_PROXY_PROTOCOL_DONE;
  bool is_v6 = wr_str_eq(family, WR_STR("TCP6"));
  if (!is_v6 && !wr_str_eq(family, WR_STR("TCP4"))) {
    return bad(out, "a PROXY line names neither TCP4, TCP6 nor UNKNOWN");
  }
  if (!parse_v1_rest(rest, is_v6, out)) {
    return bad(out, "a PROXY line has no two addresses and two ports of its family");
  }
  out->has_client = true;
  return WR_PROXY_PROTOCOL_DONE;
}

static enum wr_proxy_protocol_status read_v1(struct wr_str bytes, struct wr_proxy_protocol *out)
{
  size_t seen = bytes.len < WR_PROXY_PROTOCOL_LINE ? bytes.len : WR_PROXY_PROTOCOL_LINE;
  const char *end = memchr(bytes.ptr, '\r', seen);
  if (end == NULL || end + 1 == bytes.ptr + seen) {
    if (seen < WR_PROXY_PROTOCOL_LINE) return WR_PROXY_PROTOCOL_MORE;
    return bad(out, "a PROXY line does not end within 107 bytes");
  }
  if (end[1] != '\n') return bad(out, "a PROXY line has a bare CR");
  out->used = (size_t)(end - bytes.ptr) + 2;
  return parse_v1((struct wr_str){bytes.ptr, out->used - 2}, out);
}

// Version 2: binary.

static size_t number(const char *at)
{
  return (size_t)(unsigned char)at[0] << 8 | (unsigned char)at[1];
}

static bool are_tlvs(struct wr_str rest)
{
  while (rest.len > 0) {
    if (rest.len < 3) return false;
    size_t whole = 3 + number(rest.ptr + 1);
    if (whole > rest.len) return false;
    rest = (struct wr_str){rest.ptr + whole, rest.len - whole};
  }
  return true;
}

static void take_v4(const char *bytes, unsigned char out[16])
{
  memset(out, 0, 10);
  memset(out + 10, 0xff, 2);
  memcpy(out + 12, bytes, V4_ADDRESS);
}

static void take_addresses(const char *block, bool is_v6, struct wr_proxy_protocol *out)
{
  size_t size = is_v6 ? V6_ADDRESS : V4_ADDRESS;
  const char *ports = block + 2 * size;
  if (is_v6) {
    memcpy(out->address, block, size);
    memcpy(out->to, block + size, size);
  } else {
    take_v4(block, out->address);
    take_v4(block + size, out->to);
  }
  out->port = (uint16_t)number(ports);
  out->to_port = (uint16_t)number(ports + 2);
}

// The addresses and what follows them, for the command PROXY.
static enum wr_proxy_protocol_status read_block(int family, struct wr_str block,
                                                struct wr_proxy_protocol *out)
{
  size_t size;
  switch (family) {
  case FAMILY_NONE: size = 0; break;
  case FAMILY_V4: size = V4_BLOCK; break;
  case FAMILY_V6: size = V6_BLOCK; break;
  case FAMILY_UNIX: size = UNIX_BLOCK; break;
  default: return bad(out, "a PROXY header is of no family and protocol that a stream can have");
  }
  if (block.len < size) return bad(out, "a PROXY header is shorter than its addresses");
  // Of an unspecified family nobody can say where extensions begin.
  if (family == FAMILY_NONE) return WR_PROXY_PROTOCOL_DONE;
  if (!are_tlvs((struct wr_str){block.ptr + size, block.len - size})) {
    return bad(out, "an extension of a PROXY header runs past its end");
  }
  out->is_unix = family == FAMILY_UNIX;
  if (out->is_unix) {
    memcpy(out->to_path, block.ptr + WR_PROXY_PROTOCOL_PATH, WR_PROXY_PROTOCOL_PATH);
  } else {
    take_addresses(block.ptr, family == FAMILY_V6, out);
  }
  out->has_client = true;
  return WR_PROXY_PROTOCOL_DONE;
}

static enum wr_proxy_protocol_status read_v2(struct wr_str bytes, struct wr_proxy_protocol *out)
{
  if (bytes.len <= SIGNATURE_LEN) return WR_PROXY_PROTOCOL_MORE;
  int version = (unsigned char)bytes.ptr[12] >> 4;
  int command = bytes.ptr[12] & 15;
  if (version != 2) return bad(out, "a PROXY header is of an unknown version");
  if (command != LOCAL && command != PROXY) return bad(out, "a PROXY header has no known command");
  if (bytes.len < V2_HEAD) return WR_PROXY_PROTOCOL_MORE;
  size_t len = number(bytes.ptr + 14);
  if (V2_HEAD + len > WR_PROXY_PROTOCOL_MAX) return bad(out, "a PROXY header is too long");
  if (bytes.len < V2_HEAD + len) return WR_PROXY_PROTOCOL_MORE;
  out->used = V2_HEAD + len;
  if (command == LOCAL) return WR_PROXY_PROTOCOL_DONE;
  return read_block((unsigned char)bytes.ptr[13], (struct wr_str){bytes.ptr + V2_HEAD, len}, out);
}

static bool begins(struct wr_str bytes, struct wr_str mark)
{
  size_t len = bytes.len < mark.len ? bytes.len : mark.len;
  return memcmp(bytes.ptr, mark.ptr, len) == 0;
}

enum wr_proxy_protocol_status wr_proxy_protocol_read(struct wr_str bytes,
                                                     struct wr_proxy_protocol *out)
{
  *out = (struct wr_proxy_protocol){0};
  if (bytes.len == 0) return WR_PROXY_PROTOCOL_MORE;
  if (begins(bytes, WR_STR(SIGNATURE))) return read_v2(bytes, out);
  if (begins(bytes, WR_STR("PROXY "))) return read_v1(bytes, out);
  return bad(out, "the connection does not begin with a PROXY header");
}

// Writing

static bool is_v4(const unsigned char address[16])
{
  static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return memcmp(address, mapped, sizeof(mapped)) == 0;
}

static bool are_v4(const struct wr_proxy_protocol *p)
{
  return is_v4(p->address) && is_v4(p->to);
}

static void write_text(const unsigned char address[16], bool as_v4, char out[INET6_ADDRSTRLEN])
{
  WR_CHECK(inet_ntop(as_v4 ? AF_INET : AF_INET6, as_v4 ? address + 12 : address, out,
                     INET6_ADDRSTRLEN) != NULL);
}

static size_t write_v1(const struct wr_proxy_protocol *p, char *out)
{
  char from[INET6_ADDRSTRLEN];
  char to[INET6_ADDRSTRLEN];
  if (!p->has_client || p->is_unix) {
    return (size_t)snprintf(out, WR_PROXY_PROTOCOL_WRITTEN, "PROXY UNKNOWN\r\n");
  }
  bool as_v4 = are_v4(p);
  write_text(p->address, as_v4, from);
  write_text(p->to, as_v4, to);
  return (size_t)snprintf(out, WR_PROXY_PROTOCOL_WRITTEN, "PROXY TCP%d %s %s %u %u\r\n",
                          as_v4 ? 4 : 6, from, to, (unsigned)p->port, (unsigned)p->to_port);
}

static char *put_number(char *at, unsigned value)
{
  *at++ = (char)(value >> 8);
  *at++ = (char)(value & 0xff);
  return at;
}

// What stands behind the signature.
static char *put_head(char *at, int command, int family, size_t size)
{
  *at++ = (char)(2 << 4 | command);
  *at++ = (char)family;
  return put_number(at, (unsigned)size);
}

static size_t write_v2(const struct wr_proxy_protocol *p, char *out)
{
  memcpy(out, SIGNATURE, SIGNATURE_LEN);
  char *at = out + SIGNATURE_LEN;
  if (!p->has_client) {
    put_head(at, LOCAL, FAMILY_NONE, 0);
    return V2_HEAD;
  }
  if (p->is_unix) {
    at = put_head(at, PROXY, FAMILY_UNIX, UNIX_BLOCK);
    memset(at, 0, WR_PROXY_PROTOCOL_PATH);
    memcpy(at + WR_PROXY_PROTOCOL_PATH, p->to_path, WR_PROXY_PROTOCOL_PATH);
    return V2_HEAD + UNIX_BLOCK;
  }
  bool as_v4 = are_v4(p);
  size_t skip = as_v4 ? V6_ADDRESS - V4_ADDRESS : 0;
  size_t size = V6_ADDRESS - skip;
  at = put_head(at, PROXY, as_v4 ? FAMILY_V4 : FAMILY_V6, as_v4 ? V4_BLOCK : V6_BLOCK);
  memcpy(at, p->address + skip, size);
  memcpy(at + size, p->to + skip, size);
  put_number(put_number(at + 2 * size, p->port), p->to_port);
  return V2_HEAD + (as_v4 ? V4_BLOCK : V6_BLOCK);
}

size_t wr_proxy_protocol_write(int version, const struct wr_proxy_protocol *from,
                               char out[WR_PROXY_PROTOCOL_WRITTEN])
{
  return version == 1 ? write_v1(from, out) : write_v2(from, out);
}
