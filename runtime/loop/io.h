#pragma once
/// Readiness of one file descriptor: sockets, pipes, eventfds, signalfds, other libraries' sockets.
///
/// Level-triggered. The descriptor stays the caller's: it is read, written and closed by the
/// caller, and must not be closed before `wr_io_close` was called. Changing what is wanted costs
/// two system calls, so leave reading wanted and toggle only for back-pressure.

#include "loop/loop.h"

#include <sys/types.h>
#include <sys/uio.h>

enum {
  WR_IO_READ = 1,
  WR_IO_WRITE = 2,
  WR_IO_ERROR = 4, ///< reported, and wanted when nothing else is: reset or error on the descriptor
};

/// Up to so many bytes that were read are worked on at the end of the turn, with those of others:
/// reads stand together then, and so does the work, and neither drives the other's code out of the
/// processor's cache. More is worked on where it lies.
enum { WR_IO_PUT_OFF = 4096 };

struct wr_io {
  struct wr_handle handle; // private
  uv_poll_t uv;            // private
  int fd;                  ///< read-only; -1 once closed
  int wanted;              ///< read-only
  void (*on_ready)(struct wr_io *io, int events);
  void (*on_closed)(struct wr_io *io); // private
};

/// Begins to watch `fd`, wanting nothing yet. `name` is constant text for the leak report. 0, or a
/// negative libuv error.
int wr_io_open(struct wr_io *io, struct wr_loop *l, int fd, const char *name,
               void (*on_ready)(struct wr_io *io, int events));

/// Sets the events to be told of: any of READ, WRITE, ERROR, or 0.
void wr_io_want(struct wr_io *io, int events);

/// Sends `pieces` to a connected socket as far as it takes them; interruptions are gone about.
/// Returns the number of bytes, or -1 with errno set (EAGAIN: it is full). No signal when the peer
/// has gone.
ssize_t wr_io_send(int fd, struct iovec *pieces, size_t count);

/// Stops watching. Afterwards the descriptor may be closed at once; the memory of `io` may be given
/// back only in `on_closed` (may be NULL for memory that outlives the loop). Once per handle.
void wr_io_close(struct wr_io *io, void (*on_closed)(struct wr_io *io));
