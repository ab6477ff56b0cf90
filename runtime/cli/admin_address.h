#pragma once
/// Where the admin socket is: for the verbs that ask, and for `run`, which listens there.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  WR_ADMIN_ADDRESS_MAX = 256, ///< bytes of its text, NUL included
  WR_ADMIN_PATH_MAX = 108,    ///< bytes of a socket's path, NUL included (sockaddr_un)
};

struct wr_admin_address {
  char path[WR_ADMIN_PATH_MAX];    ///< of a Unix socket; "" for TCP
  char host[WR_ADMIN_ADDRESS_MAX]; ///< for TCP: name or address, IPv6 without brackets
  uint16_t port;                   ///< for TCP: 1..65535
};

/// The address to use: `option` (may be NULL), else $WEIR_ADMIN, else /run/weir/admin.sock when
/// /run/weir is writable, else $XDG_RUNTIME_DIR/weir.sock, else /tmp/weir-UID.sock. Returns `out`,
/// or `option` or the variable themselves.
const char *wr_admin_address_default(const char *option, char out[WR_ADMIN_ADDRESS_MAX]);

/// Reads "unix:PATH", "/PATH", "HOST:PORT" or "[IPV6]:PORT". False with a constant reason.
bool wr_admin_address_parse(struct wr_admin_address *a, const char *text, const char **reason);
