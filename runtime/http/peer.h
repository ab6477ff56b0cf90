#pragma once
/// Who is at the other end of a client's connection, or, behind a proxy that says so, whom it
/// speaks for.

#include "base/network.h"

#include <sys/socket.h>

struct wr_peer {
  char text[WR_NETWORK_TEXT_SIZE]; ///< numeric address, or "unix"
  uint16_t port;                   ///< 0 for "unix"
};

/// From what accept(2) told.
void wr_peer_from_socket(struct wr_peer *p, const struct sockaddr_storage *address);

/// From 16 bytes and a port.
void wr_peer_from_address(struct wr_peer *p, const unsigned char address[16], uint16_t port);

/// Of a Unix socket.
void wr_peer_from_unix(struct wr_peer *p);

/// Writes what a limit for each client takes for one client: an IPv4 address, or the first 64 bits
/// of an IPv6 one, of which one customer has all (RFC 6177). False for "unix", which is nobody in
/// particular.
bool wr_peer_owner(const struct wr_peer *p, unsigned char out[16]);
