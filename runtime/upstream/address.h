#pragma once
/// Where a connection goes: an address as connect(2) takes it and as people read it.

#include "upstream/dns.h"
#include "upstream/transport.h"

#include <sys/socket.h>

struct wr_address {
  struct sockaddr_storage addr;
  socklen_t len;
  char text[WR_TRANSFER_ADDRESS_SIZE]; ///< "127.0.0.1:80", "[::1]:80", "unix:/run/app.sock"
};

/// From a numeric address and a port.
void wr_address_of(struct wr_address *a, const struct wr_dns_address *from, uint16_t port);

/// From the path of a Unix socket, at most WR_TRANSFER_PATH_MAX bytes.
void wr_address_of_path(struct wr_address *a, struct wr_str path);

/// A socket that connects without blocking, closed on exec: writable when it has, or has failed to
/// (SO_ERROR). -1 with errno set; EAGAIN means that a Unix socket's server has too many waiting.
int wr_address_connect(const struct wr_address *a);
