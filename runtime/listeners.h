#pragma once
/// Listening sockets: one per address and worker slot (SO_REUSEPORT), held by the master for ever,
/// so that a connection that comes while its worker is being replaced waits in the queue instead of
/// being refused.

#include "base/error.h"
#include "base/list.h"

#include <stdint.h>

struct wr_listener {
  struct wr_list link;
  char *address;  ///< "127.0.0.1:8080", "[::1]:8080", "unix:/path"
  uint32_t count; ///< worker slots
  bool is_wanted; ///< by the generation that is being loaded
  bool is_new;    ///< opened for it
  int fds[];      ///< one for each slot
};

/// Binds and listens for `count` slots. NULL with a set error that names the address.
struct wr_listener *wr_listener_open(const char *address, uint32_t count, struct wr_error *error);

/// One listening socket on an address, non-blocking and close-on-exec; or -1 with a set error.
int wr_listener_bind(const char *address, bool is_shared, struct wr_error *error);

/// Closes all sockets and frees it.
void wr_listener_close(struct wr_listener *l);
