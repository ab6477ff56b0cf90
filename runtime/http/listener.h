#pragma once
/// Accepting: listening sockets, who is let in from them, and what happens when there is no room.
///
/// Private to http/; the public part is in server.h.

#include "http/peer.h"
#include "http/proxy_protocol.h"
#include "http/server_internal.h"

/// Options of a listener, kept for as long as a client that came with them is being introduced.
struct wr_listen_rules {
  struct wr_listen_options options;
  uint64_t salt; ///< of the listener's name: clients are counted for each listener
  size_t refs;
};

struct wr_listener {
  struct wr_list link;
  struct wr_io io;
  struct wr_server *server;
  char *name;
  struct wr_listen_rules *rules;
};

/// For wr_server_new.
void wr_listener_setup(struct wr_server *s);

/// Stops accepting everywhere.
void wr_listener_close_all(struct wr_server *s);

/// Serves a client, unless it has too many connections already. `told` is what its proxy said, or
/// NULL.
void wr_listener_admit(struct wr_server *s, int fd, const struct wr_peer *peer,
                       const struct wr_proxy_protocol *told, const struct wr_listen_rules *rules);

/// Closes a socket with RST, so that nothing of it stays in the kernel.
void wr_listener_reset(int fd);

/// One holder less.
void wr_listener_let_go(struct wr_listen_rules *rules);
