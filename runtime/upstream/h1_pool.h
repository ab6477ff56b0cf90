#pragma once
/// The connections of the native transport: one pool for each host and port, and the sockets in it.
///
/// A connection is opening, busy with one transfer, or idle. Private to h1_*.c and transport_h1.c.

#include "base/buf.h"
#include "base/map.h"
#include "http/channel.h"
#include "loop/io.h"
#include "loop/timer.h"
#include "upstream/transport_h1.h"

struct wr_h1_dial;
struct wr_h1_transfer;

enum { WR_H1_POOL_RECENT = 8 }; ///< pools found without a search

/// The transport itself.
struct wr_h1_transport {
  struct wr_transport base;
  struct wr_resolver *resolver;
  struct wr_transport_h1_options options;
  struct wr_map pools;                          ///< key of an endpoint -> struct wr_h1_pool
  struct wr_h1_pool *recent[WR_H1_POOL_RECENT]; ///< in front of `pools`, by port; NULL: none
  struct wr_list live;                          ///< transfers
  struct wr_list spare; ///< transfers kept for the next ones, with their buffers
  size_t spare_count;
  size_t private_idle;     ///< idle connections of private pools
  size_t connections;      ///< whose memory lives
  char *scratch;           ///< every read goes through it first
  struct wr_region region; ///< field list of the head that is being told
  struct wr_timer sweep;   ///< idle connections past their time
  bool is_resting;         ///< keeps no idle connection
  bool is_swept;           ///< closing has begun
};

struct wr_h1_pool {
  struct wr_h1_transport *tr;
  struct wr_list idle;    ///< connections, the most recently used first
  struct wr_list busy;    ///< connections that are opening or have a transfer
  struct wr_list waiting; ///< transfers for which there is no room, oldest first
  size_t open;            ///< places taken: by connections and by dials
  size_t idle_count;
  uint64_t idle_max_ns;          ///< how long connections may idle, as the last request wanted it
  struct wr_h1_pool *next_empty; ///< while a sweep collects those that nobody uses
  size_t transfers;              ///< that hold on to this pool
  struct wr_str key;
  char *host;
  uint16_t port;
  bool is_private;           ///< its connections begin with the name of a client, whose they are
  struct wr_client_tls *tls; ///< a holder; NULL: plain
  char *server_name;         ///< whom the endpoint must prove to be then
  char *url;                 ///< "http://host:port" or "http://unix:/path", for messages
};

struct wr_h1_connection {
  struct wr_list link;
  struct wr_h1_transport *tr;
  struct wr_h1_pool *pool; ///< until it is closed
  struct wr_io io;
  struct wr_h1_transfer *user; ///< NULL: idle
  struct wr_h1_dial *dial;     ///< while it opens; the dial has the place in the pool
  struct wr_channel *channel;  ///< with TLS on it; NULL: plain
  struct wr_buf in;            ///< read and not used yet
  uint64_t idle_ns;            ///< since when it is idle
  uint64_t keep_ns;            ///< how long the peer keeps it, as it said; UINT64_MAX: not said
  bool is_failed;              ///< reset, or broken otherwise: nothing more is told of it
  bool is_idle;                ///< it is on the pool's list of these
  bool is_reused;              ///< it has answered before
  char address[WR_TRANSFER_ADDRESS_SIZE];
};

enum {
  WR_H1_READ_SIZE = 64 * 1024, ///< bytes of one read
};

/// The pool of the endpoint that the request is for, made when it is new. `is_guarded` requests
/// have pools of their own: a connection that others opened may lead where these must not go; and
/// so have those of each preamble, and of each `tls` and server name. The authority of a request
/// over TLS must have a host (wr_outbound_tls_name).
struct wr_h1_pool *wr_h1_pool_of(struct wr_h1_transport *tr, const struct wr_transfer_request *rq);

/// Closes idle connections past their time, and forgets pools that nobody uses. All of both with
/// `is_all`.
void wr_h1_pool_sweep(struct wr_h1_transport *tr, bool is_all);

/// An idle connection that idled for at most `idle_max_ns`, or NULL. To be asked at the end of a
/// turn: by then those that had anything to read, which nobody asked for, have been told of by the
/// loop and are closed.
struct wr_h1_connection *wr_h1_pool_take(struct wr_h1_pool *pool, uint64_t idle_max_ns);

/// Makes room for another connection; an idle one may have to go. False when there is none.
bool wr_h1_pool_make_room(struct wr_h1_pool *pool);

/// Is there a connection, or room for one, for somebody who waits?
bool wr_h1_pool_may_serve(const struct wr_h1_pool *pool);

/// The connection has served its transfer and is idle from now on; the peer keeps it for `keep_ns`.
void wr_h1_pool_give(struct wr_h1_connection *c, uint64_t keep_ns);

/// A watched connection around the socket `fd`, which it owns from now on, for the dial that opened
/// it. NULL when it cannot be watched; then `fd` is closed.
struct wr_h1_connection *wr_h1_connection_new(struct wr_h1_pool *pool, int fd,
                                              struct wr_h1_dial *dial);

/// Closes it; its memory goes by itself. Its place in the pool goes with it, unless the dial has
/// it.
void wr_h1_connection_close(struct wr_h1_connection *c);

/// A connection's memory is gone, or all are closed: perhaps the transport is, too.
void wr_h1_transport_check_closed(struct wr_h1_transport *tr);
