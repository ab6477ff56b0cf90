#include "http/proxy_protocol.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

enum {
  SIGNATURE_LEN = 12,
  V2_HEAD = 16, // signature, version and command, family, length
  V1_ADDRESS = 4,
};

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
  unsigned char to[16];
  uint16_t to_port;
  struct wr_str source = wr_str_split(&rest, ' ');
  struct wr_str target = wr_str_split(&rest, ' ');
  struct wr_str source_port = wr_str_split(&rest, ' ');
  return parse_address(source, is_v6, out->address) && parse_address(target, is_v6, to) &&
         parse_port(source_port, &out->port) && parse_port(rest, &to_port);
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

static void take_v4(const char *block, struct wr_proxy_protocol *out)
{
  memset(out->address, 0, 10);
  memset(out->address + 10, 0xff, 2);
  memcpy(out->address + 12, block, V1_ADDRESS);
  out->port = (uint16_t)number(block + 8);
}

static void take_v6(const char *block, struct wr_proxy_protocol *out)
{
  memcpy(out->address, block, 16);
  out->port = (uint16_t)number(block + 32);
}

// The addresses and what follows them, for the command PROXY.
static enum wr_proxy_protocol_status read_block(int family, struct wr_str block,
                                                struct wr_proxy_protocol *out)
{
  size_t size;
  switch (family) {
  case 0x00: size = 0; break;
  case 0x11: size = 12; break;
  case 0x21: size = 36; break;
  case 0x31: size = 216; break;
  default: return bad(out, "a PROXY header is of no family and protocol that a stream can have");
  }
  if (block.len < size) return bad(out, "a PROXY header is shorter than its addresses");
  // Of an unspecified family nobody can say where extensions begin.
  if (family == 0x00) return WR_PROXY_PROTOCOL_DONE;
  if (!are_tlvs((struct wr_str){block.ptr + size, block.len - size})) {
    return bad(out, "an extension of a PROXY header runs past its end");
  }
  if (family == 0x11) take_v4(block.ptr, out);
  if (family == 0x21) take_v6(block.ptr, out);
  out->is_unix = family == 0x31;
  out->has_client = true;
  return WR_PROXY_PROTOCOL_DONE;
}

static enum wr_proxy_protocol_status read_v2(struct wr_str bytes, struct wr_proxy_protocol *out)
{
  enum { LOCAL = 0, PROXY = 1 };
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
