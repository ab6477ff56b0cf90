#include "loop/io.h"

#include <errno.h>
#include <sys/socket.h>

static void on_uv_poll(uv_poll_t *uv, int status, int uv_events)
{
  struct wr_io *io = uv->data;
  wr_loop_tick(io->handle.loop);
  int events = 0;
  if (status < 0 || (uv_events & (UV_DISCONNECT | UV_PRIORITIZED))) events |= WR_IO_ERROR;
  if (uv_events & UV_READABLE) events |= WR_IO_READ;
  if (uv_events & UV_WRITABLE) events |= WR_IO_WRITE;
  // libuv stops a poll handle that failed; the owner still has to hear it through read or write.
  if (status < 0) events |= io->wanted;
  if (events != 0) io->on_ready(io, events);
}

int wr_io_open(struct wr_io *io, struct wr_loop *l, int fd, const char *name,
               void (*on_ready)(struct wr_io *io, int events))
{
  *io = (struct wr_io){.fd = fd, .on_ready = on_ready};
  int rc = uv_poll_init(&l->uv, &io->uv, fd);
  if (rc != 0) return rc;
  io->uv.data = io;
  io->handle.loop = l;
  io->handle.name = name;
  wr_list_push(&l->handles, &io->handle.link);
  return 0;
}

void wr_io_want(struct wr_io *io, int events)
{
  WR_CHECK(io->fd >= 0);
  if (events == io->wanted) return;
  io->wanted = events;
  int uv_events = 0;
  if (events & WR_IO_READ) uv_events |= UV_READABLE;
  if (events & WR_IO_WRITE) uv_events |= UV_WRITABLE;
  // Priority data never comes on our sockets, but asking for it has the kernel report errors.
  if (events & WR_IO_ERROR) uv_events |= UV_PRIORITIZED;
  WR_CHECK(uv_poll_start(&io->uv, uv_events, on_uv_poll) == 0);
}

// For one piece the kernel has a shorter way, which nearly all small messages go.
static ssize_t send_once(int fd, struct iovec *pieces, size_t count)
{
  if (count == 1) return send(fd, pieces->iov_base, pieces->iov_len, MSG_NOSIGNAL);
  struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};
  return sendmsg(fd, &message, MSG_NOSIGNAL);
}

ssize_t wr_io_send(int fd, struct iovec *pieces, size_t count)
{
  ssize_t took;
  do {
    took = send_once(fd, pieces, count);
  } while (took < 0 && errno == EINTR);
  return took;
}

static void on_uv_close(uv_handle_t *uv)
{
  struct wr_io *io = uv->data;
  wr_loop_tick(io->handle.loop);
  if (io->on_closed) io->on_closed(io);
}

void wr_io_close(struct wr_io *io, void (*on_closed)(struct wr_io *io))
{
  WR_CHECK(io->fd >= 0);
  io->fd = -1;
  io->wanted = 0;
  io->on_closed = on_closed;
  wr_list_remove(&io->handle.link);
  uv_poll_stop(&io->uv);
  uv_close((uv_handle_t *)&io->uv, on_uv_close);
}
