#pragma once
/// `GET /events`: what happens, as it happens, to those who watch (text/event-stream). For admin/.
///
/// Each second an event `status` with the document of `GET /status`. Each log line that is neither
/// an access line nor a script's is an event `event`, those first that are still in the journal. A
/// watcher that does not read misses documents, which the next one makes up for, and lines, of
/// which an event `missed` tells how many; the master never waits for it. One that comes again with
/// `Last-Event-ID` gets what it has not seen; what the journal has no more it is told as missed.
///
/// `GET /lines`: every line of the log from now on (application/x-ndjson), access lines and those
/// of scripts too, whatever the level of the log; what was missed is the line `tail.missed`. At
/// most WR_STREAMS_MAX of both at once.

#include "admin/admin.h"
#include "loop/timer.h"

enum { WR_STREAMS_MAX = 16 };

/// One watcher. Belongs to the streams.
struct wr_stream;

struct wr_streams {
  const struct wr_admin_ops *ops;
  struct wr_timer timer;
  uint64_t ticks;
  uint32_t birth;      ///< private: tells lines of this arena from those of another
  struct wr_list list; ///< struct wr_stream
  uint32_t count;
};

/// Nobody watches. `ops` must outlive it.
void wr_streams_init(struct wr_streams *s, struct wr_loop *l, const struct wr_admin_ops *ops);

/// Answers `x` with a stream of events, or of lines; NULL when there are too many, which was
/// answered.
struct wr_stream *wr_streams_open(struct wr_streams *s, struct wr_exchange *x, bool is_lines);

/// The watcher's connection takes more.
void wr_stream_writable(struct wr_stream *stream);

/// The watcher is gone: nothing more is sent.
void wr_stream_leave(struct wr_stream *stream);

/// Frees it; its exchange is over.
void wr_stream_free(struct wr_stream *stream);

/// Ends all, in order; they may come again.
void wr_streams_end(struct wr_streams *s);
