#include "http/channel.h"

#include "http/tls_session.h"
#include "loop/io.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

void wr_channel_open(struct wr_channel *ch, int fd)
{
  *ch = (struct wr_channel){.fd = fd};
}

ssize_t wr_channel_read(struct wr_channel *ch, char *to, size_t room)
{
  if (ch->tls) return wr_tls_session_read(ch, to, room);
  ssize_t got = recv(ch->fd, to, room, 0);
  if (got >= 0) return got;
  if (errno == EAGAIN || errno == EINTR) return WR_CHANNEL_AGAIN;
  ch->fault = "the client reset the connection";
  return WR_CHANNEL_BROKEN;
}

ssize_t wr_channel_send(struct wr_channel *ch, struct iovec *pieces, size_t count)
{
  if (ch->tls) return wr_tls_session_send(ch, pieces, count);
  ssize_t took = wr_io_send(ch->fd, pieces, count);
  if (took >= 0) return took;
  if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
  ch->fault = "the client closed the connection";
  return -1;
}

bool wr_channel_flush(struct wr_channel *ch)
{
  return ch->tls == NULL || wr_tls_session_flush(ch);
}

void wr_channel_finish(struct wr_channel *ch)
{
  if (ch->tls) {
    wr_tls_session_finish(ch);
  } else {
    shutdown(ch->fd, SHUT_WR);
  }
}

void wr_channel_close(struct wr_channel *ch, bool reset)
{
  if (ch->tls) wr_tls_session_close(ch, reset);
  if (reset) {
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(ch->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  }
  close(ch->fd);
  ch->fd = -1;
}

void wr_channel_free(struct wr_channel *ch)
{
  if (ch->tls) wr_tls_session_free(ch);
}
