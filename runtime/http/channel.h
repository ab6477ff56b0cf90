#pragma once
/// The bytes of one connection, a client's or to an upstream, below HTTP and above its socket.
///
/// Never blocks; who owns it watches the descriptor, and may have to do so for writing while
/// nothing of its own waits (`unsent`). Bytes that were read ahead are always handed on
/// with the read that found them, so readiness of the descriptor is all there is to wait for. One
/// worker's loop.

#include "base/str.h"

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

struct wr_tls_session;

/// Above so many bytes that the socket has not taken its peer is not read either: it asks for
/// answers (of TLS itself) and does not take them.
enum { WR_CHANNEL_UNSENT_MAX = 128 * 1024 };

/// Bytes beyond what was asked for that a read over TLS may hand on: a record that was not whole.
enum { WR_CHANNEL_SLACK = 22 * 1024 };

/// What a read returns beside a count of bytes and 0, which is the end in good order.
enum { WR_CHANNEL_AGAIN = -1, WR_CHANNEL_BROKEN = -2 };

struct wr_channel {
  int fd;            ///< read-only; -1 once closed
  bool is_ended;     ///< read-only: the peer said that it sends no more
  bool is_dry;       ///< read-only: of TLS: the last read found not even a part of a record
  const char *fault; ///< read-only: why a client's broke, constant text
  struct wr_tls_session *tls; ///< read-only: NULL for a plain one; see tls_session.h
  size_t unsent;              ///< read-only: bytes taken that the socket has not taken yet
};

/// Bytes beyond `room` that a read may hand on.
static inline size_t wr_channel_slack(const struct wr_channel *ch)
{
  return ch->tls ? WR_CHANNEL_SLACK : 0;
}

/// Takes over a connected, non-blocking socket, plain; `wr_tls_session_open` may follow.
void wr_channel_open(struct wr_channel *ch, int fd);

/// Reads about `room` > 0 bytes, with one system call; `to` must have room for
/// `wr_channel_slack` more. The count, 0 at the end, WR_CHANNEL_AGAIN when nothing has come,
/// WR_CHANNEL_BROKEN.
ssize_t wr_channel_read(struct wr_channel *ch, char *to, size_t room);

/// Sends from the front of `pieces`, which may be changed. How many bytes were taken: those need
/// not be kept. 0 when none are taken now, -1 when it broke.
ssize_t wr_channel_send(struct wr_channel *ch, struct iovec *pieces, size_t count);

/// Sends what was taken and is not on its way yet. False when it broke.
bool wr_channel_flush(struct wr_channel *ch);

/// Says that nothing more is sent. What is read from now on is of no meaning, and is to be thrown
/// away.
void wr_channel_finish(struct wr_channel *ch);

/// Closes the socket, which must not be watched any more; with RST on `reset`.
void wr_channel_close(struct wr_channel *ch, bool reset);

/// Frees what outlives the socket: what is known of the client.
void wr_channel_free(struct wr_channel *ch);
