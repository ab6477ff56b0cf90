#pragma once
/// What a connection needs only while something is under way on it: the HTTP/1 exchange and its
/// memory, input that nobody took yet, output that the socket did not take.
///
/// A server lends them. A connection has one while it makes progress and keeps it while anything in
/// it is of use, so one that waits for its next request has no memory but `struct wr_connection`.
/// Those that come back are kept with their memory, the last one on top: the next request, on
/// whichever connection, allocates nothing. Private to http/.

#include "http/body.h"
#include "http/exchange_internal.h"

enum {
  WR_WORKSPACE_SPARE_MAX = 4 * 1024 * 1024, ///< bytes of all that a server keeps and nobody uses
  WR_WORKSPACE_KEEP = 64 * 1024,            ///< of a buffer that is empty and still kept
};

struct wr_connection;

struct wr_workspace {
  struct wr_connection *c;   ///< who has it
  struct wr_buf in;          ///< input not used yet, between two times of progress
  struct wr_str view;        ///< the same, while there is progress
  bool is_scratch;           ///< `view` lies in the server's scratch memory, not in `in`
  struct wr_buf out;         ///< what waits for the channel
  struct wr_region region;   ///< the exchange's
  struct wr_exchange x;      ///< a new one replaces it; is_live only while it is under way
  struct wr_body body;       ///< of its request
  size_t scanned;            ///< bytes of input known to hold no end of head
  uint64_t sent_ns;          ///< when the socket last took bytes, or stopped to
  size_t head_left;          ///< bytes of `out` up to the end of its response's head
  bool keep_alive;           ///< its response said that the connection stays
  struct wr_workspace *next; // private: below it, while nobody has it
  size_t bytes;              // private: its memory, while nobody has it
};

/// Lends one, empty, to a connection that has none.
struct wr_workspace *wr_workspace_take(struct wr_connection *c);

/// Takes it back, with whatever is in it; no exchange is live there. Its connection has none then.
void wr_workspace_give(struct wr_connection *c);

/// Frees those that nobody has.
void wr_workspace_clear(struct wr_server *s);
