#pragma once
/// Addresses of machines as 16 bytes, and lists of networks that hold some of them.
///
/// IPv4 is written as IPv6 maps it (RFC 4291 2.5.5.2), so a client is one address whether it came
/// to an IPv4 or to a dual-stack socket. A client of a Unix socket has no address: it is "unix".
/// Pure.

#include "base/error.h"
#include "base/str.h"

#include <stdint.h>

enum {
  WR_NETWORK_TEXT_SIZE = 46, ///< a numeric address with its NUL
  WR_NETWORK_LIST_MAX = 64,  ///< networks of one list
};

struct wr_network {
  unsigned char bytes[16];
  uint8_t bits; ///< of the prefix, 0 to 128
};

/// Empty when zeroed.
struct wr_networks {
  struct wr_network items[WR_NETWORK_LIST_MAX];
  size_t count;
  bool has_unix; ///< "unix" is in it
};

/// Reads "192.0.2.7" or "2001:db8::1", no zone. False when it is neither.
bool wr_network_address(struct wr_str text, unsigned char out[16]);

/// Writes an address: IPv4 without the mapping, IPv6 as RFC 5952 has it. `out` has
/// WR_NETWORK_TEXT_SIZE bytes.
void wr_network_text(const unsigned char address[16], char *out);

/// Adds "10.0.0.0/8", "192.0.2.7", "fd00::/8" or "unix". False with a set error that names what is
/// wrong.
bool wr_networks_add(struct wr_networks *n, struct wr_str network, struct wr_error *error);

/// Is this numeric address, or "unix", in one of the networks?
bool wr_networks_has(const struct wr_networks *n, struct wr_str address);
