#pragma once
/// A client whose proxy has still to say who it is: from accepting to the end of its PROXY header,
/// when it becomes a connection.
///
/// Takes exactly the header off the socket, so what follows (HTTP, or a TLS handshake) begins at
/// its first byte. Counts as an open connection meanwhile. Private to http/.

#include "http/listener.h"

struct wr_preface;

/// Takes over an accepted socket.
void wr_preface_open(struct wr_listener *listener, int fd, const struct wr_peer *peer);

/// Breaks it off.
void wr_preface_close(struct wr_preface *p);

struct wr_preface {
  struct wr_list link;
  struct wr_server *server;
  struct wr_listen_rules *rules;
  struct wr_io io;
  struct wr_timer timer;
  struct wr_peer peer;
  struct wr_buf in; ///< of the header
};
