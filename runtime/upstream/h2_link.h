#pragma once
/// One connection of the HTTP/2 transport: opened for its first call, shared by others, closed when
/// it is idle or of no use.
///
/// nghttp2's callbacks only note what came; calls are told by `advance`, never from inside nghttp2.
/// Private to h2_*.c and transport_h2.c.

#include "base/buf.h"
#include "http/channel.h"
#include "loop/io.h"
#include "loop/timer.h"
#include "upstream/transport_h2.h"

#include <nghttp2/nghttp2.h>

enum {
  WR_H2_LINK_WINDOW = 65535,              ///< bytes of a stream that wait for its reader
  WR_H2_LINK_CONNECTION_WINDOW = 1 << 20, ///< bytes of all streams on their way
  WR_H2_LINK_READ = 64 * 1024,            ///< bytes of one read
  WR_H2_LINK_KEY_MAX = 800,
};

/// The transport itself.
struct wr_h2_transport {
  struct wr_transport base;
  struct wr_resolver *resolver;
  struct wr_transport_h2_options options;
  struct wr_list links;
  struct wr_list live; ///< struct wr_h2_call
  size_t sockets;      ///< whose memory lives
  char *scratch;       ///< every read goes through it
  bool is_resting;     ///< keeps no idle connection
  bool is_swept;       ///< closing has begun
};

struct wr_h2_call;

/// A watched descriptor; lives until the loop has let go of it.
struct wr_h2_socket {
  struct wr_io io;
  struct wr_h2_transport *tr;
  struct wr_h2_link *owner; ///< NULL: closed
};

struct wr_h2_link {
  struct wr_list link;
  struct wr_h2_transport *tr;
  struct wr_list calls; ///< on it
  struct wr_list ready; ///< calls to be told something
  size_t count;
  char *host;
  uint16_t port;
  bool is_guarded;
  bool is_begun;      ///< it opens
  bool is_blocked;    ///< the socket takes no more now
  bool is_going;      ///< takes no more calls
  const char *broken; ///< of no use any more, and why; to be told by `advance`
  enum wr_error_kind broken_kind;
  struct wr_resolver_query query;
  struct wr_dns_answer addresses;
  size_t at;           ///< the address whose turn it is
  uint64_t connect_ns; ///< how long opening it may take; 0: no limit
  uint64_t open_by_ns; ///< when it must have ended
  struct wr_h2_socket *socket;
  struct wr_channel channel; ///< the socket's bytes, while there is one
  struct wr_client_tls *tls; ///< NULL: in the clear
  char *name;                ///< which it must prove then
  nghttp2_session *session;  ///< NULL: it opens
  struct wr_buf out;         ///< made and not sent yet
  uint64_t heard_ns;         ///< when bytes last came
  uint64_t idle_max_ns;
  struct wr_timer timer; ///< opening: of the address; else of idling
  struct wr_deferred work;
  size_t key_len;
  size_t preamble_len;
  char key[WR_H2_LINK_KEY_MAX]; ///< host, port, whether guarded, preamble, TLS
  char preamble[WR_TRANSFER_PREAMBLE_MAX];
  char address[WR_TRANSFER_ADDRESS_SIZE];
};

/// A connection for the call: one that was heard of within `idle_max_ns` (0: none), or one that
/// opens, unless the call wants its own; else a new one, which begins to open.
struct wr_h2_link *wr_h2_link_for(struct wr_h2_transport *tr, const struct wr_h2_call *call,
                                  uint64_t idle_max_ns);

/// Puts the call on it; it is submitted when the connection is open.
void wr_h2_link_join(struct wr_h2_link *l, struct wr_h2_call *call);

/// Takes the call off, whose stream is reset if it is still open.
void wr_h2_link_leave(struct wr_h2_link *l, struct wr_h2_call *call);

/// Has progress be made at the end of this turn.
void wr_h2_link_poke(struct wr_h2_link *l);

/// It is open; `early` bytes that came behind its handshake are in the transport's scratch.
void wr_h2_link_on_open(struct wr_h2_link *l, size_t early);

/// It cannot be opened, or is of no use any more: its calls are told, and it is gone.
void wr_h2_link_give_up(struct wr_h2_link *l, enum wr_error_kind kind, const char *cause);

/// Its socket is ready.
void wr_h2_link_on_ready(struct wr_io *io, int events);

/// Closes it and forgets it; there are no calls on it.
void wr_h2_link_close(struct wr_h2_link *l);

/// A socket's memory is gone, or all are closed: perhaps the transport is, too.
void wr_h2_transport_check_closed(struct wr_h2_transport *tr);
