#pragma once
/// What the server's own files share: the server's state. For
/// http/{server,connection,request,exchange}.c.

#include "base/buf.h"
#include "base/rng.h"
#include "http/date.h"
#include "http/server.h"
#include "loop/io.h"
#include "loop/timer.h"

enum {
  /// One read from a socket takes at most this much; leftovers are copied to the connection.
  WR_SERVER_READ_MAX = 64 * 1024,
  WR_SERVER_SLACK_MAX = 32 * 1024, ///< what a channel may hand on beyond that
};

struct wr_tls_work;
struct wr_workspace;

struct wr_server {
  struct wr_loop *loop;
  struct wr_server_options options; ///< texts are the server's own copies
  struct wr_http_hooks hooks;
  void *ctx;
  struct wr_server_stats stats;
  struct wr_rng rng;          ///< request ids
  struct wr_list connections; ///< all whose memory lives
  struct wr_list idle;        ///< those that wait for a request, the longest idle first
  struct wr_list prefaces;    ///< clients whose proxy has not introduced them yet
  struct wr_list listeners;
  size_t listeners_closing;     ///< their handles have not closed yet
  char *scratch;                ///< that every read goes through
  struct wr_workspace *spare;   ///< that no connection has, the last used first
  struct wr_tls_work *tls_work; ///< NULL before the first listener with TLS
  struct wr_str via;            ///< "1.1 pseudonym"; absent without one
  struct wr_str server_name;
  char date[WR_DATE_LEN + 1];
  uint64_t date_until_ns;
  int reserve_fd; ///< given up to be able to refuse when descriptors run out
  bool is_accepting;
  bool is_full; ///< accepting rests at the maximum of connections
  bool is_draining;
  bool is_retiring; ///< the next response on each connection is its last
  struct wr_timer accept_timer;
  struct wr_deferred drained_work;
  void (*on_drained)(void *ctx);
  void *drained_ctx;
};

/// The Date field's value, renewed once a second.
struct wr_str wr_server_date(struct wr_server *s);

/// A connection's socket was closed: accepting may go on.
void wr_server_has_room(struct wr_server *s);

/// A connection's memory is gone: perhaps the server is drained.
void wr_server_check_drained(struct wr_server *s);
