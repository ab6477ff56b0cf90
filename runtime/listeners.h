#pragma once
/// Listening sockets, held by the master for ever, so that a connection that comes while its worker
/// is being replaced waits in the queue instead of being refused.
///
/// An internet address has one socket per worker slot (SO_REUSEPORT). A Unix socket is one, which
/// all workers share, for its file can be bound once.

#include "base/error.h"
#include "base/list.h"

#include <stdint.h>

struct wr_listener {
  struct wr_list link;
  char *address;    ///< "127.0.0.1:8080", "[::1]:8080", "unix:/path", "/path"
  uint32_t count;   ///< worker slots
  uint32_t mode;    ///< of the file of a Unix socket
  bool is_wanted;   ///< by the generation that is being loaded
  bool is_new;      ///< opened for it
  uint64_t file[2]; ///< device and inode of a Unix socket's file: ours, or replaced meanwhile?
  int fds[];        ///< one for each slot, -1 once taken
};

/// Binds and listens for `count` slots. A Unix socket's file gets this mode; a socket that nobody
/// answers on any more is replaced, any other file is not. NULL with a set error that names the
/// address.
struct wr_listener *wr_listener_open(const char *address, uint32_t count, uint32_t mode,
                                     struct wr_error *error);

/// One whose sockets another program opened: to be filled in. Nothing is bound.
struct wr_listener *wr_listener_adopt(const char *address, uint32_t count);

/// The descriptor of a slot, which is the caller's from now on.
int wr_listener_take(struct wr_listener *l, uint32_t slot);

/// Gives the file of a Unix socket the mode of `l`.
void wr_listener_keep_mode(const struct wr_listener *l);

/// Closes all sockets, removes the file of a Unix socket if it is still ours, and frees it.
void wr_listener_close(struct wr_listener *l);
