#include "http/preface.h"

#include "base/alloc.h"
#include "http/proxy_protocol.h"

#include <errno.h>
#include <unistd.h>

static void on_closed(struct wr_io *io)
{
  struct wr_preface *p = WR_CONTAINER(io, struct wr_preface, io);
  struct wr_server *s = p->server;
  wr_list_remove(&p->link);
  wr_listener_let_go(p->rules);
  wr_buf_fini(&p->in);
  wr_free(p);
  wr_server_check_drained(s);
}

// Stops watching; the socket is the caller's again.
static int release(struct wr_preface *p)
{
  int fd = p->io.fd;
  wr_timer_stop(&p->timer);
  wr_io_close(&p->io, on_closed);
  p->server->stats.open--;
  return fd;
}

void wr_preface_close(struct wr_preface *p)
{
  if (p->io.fd < 0) return;
  struct wr_server *s = p->server;
  wr_listener_reset(release(p));
  wr_server_has_room(s);
}

static void refuse(struct wr_preface *p)
{
  p->server->stats.refused_proxy++;
  wr_preface_close(p);
}

static void on_late(struct wr_timer *t)
{
  refuse(WR_CONTAINER(t, struct wr_preface, timer));
}

static void introduce(struct wr_preface *p, const struct wr_proxy_protocol *header)
{
  struct wr_peer peer = p->peer;
  if (header->is_unix) {
    wr_peer_from_unix(&peer);
  } else if (header->has_client) {
    wr_peer_from_address(&peer, header->address, header->port);
  }
  struct wr_server *s = p->server;
  wr_listener_admit(s, release(p), &peer, header, p->rules);
  wr_server_has_room(s);
}

// Looks at what came, and takes off the socket what belongs to the header: all of it, as long as
// the header has no end.
static void on_readable(struct wr_io *io, int events)
{
  struct wr_preface *p = WR_CONTAINER(io, struct wr_preface, io);
  struct wr_proxy_protocol header;
  size_t before = p->in.len;
  size_t room = WR_PROXY_PROTOCOL_MAX + 1 - before;
  char *to = wr_buf_reserve(&p->in, room);
  ssize_t got = events & WR_IO_ERROR ? 0 : recv(io->fd, to, room, MSG_PEEK);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    refuse(p);
    return;
  }
  wr_buf_grow(&p->in, (size_t)got);
  enum wr_proxy_protocol_status status = wr_proxy_protocol_read(wr_buf_str(&p->in), &header);
  size_t taken = status == WR_PROXY_PROTOCOL_DONE ? header.used - before : (size_t)got;
  if (status == WR_PROXY_PROTOCOL_BAD || recv(io->fd, to, taken, 0) != (ssize_t)taken) {
    refuse(p);
  } else if (status == WR_PROXY_PROTOCOL_DONE) {
    introduce(p, &header);
  }
}

void wr_preface_open(struct wr_listener *listener, int fd, const struct wr_peer *peer)
{
  struct wr_server *s = listener->server;
  struct wr_preface *p = wr_alloc(sizeof(*p));
  if (wr_io_open(&p->io, s->loop, fd, "http preface", on_readable) != 0) {
    close(fd);
    wr_free(p);
    return;
  }
  p->server = s;
  p->rules = listener->rules;
  p->rules->refs++;
  p->peer = *peer;
  wr_buf_init(&p->in, WR_PROXY_PROTOCOL_MAX + 1);
  wr_timer_init(&p->timer, s->loop, on_late);
  wr_timer_start(&p->timer, s->options.preface_timeout_ns);
  wr_list_push(&s->prefaces, &p->link);
  s->stats.open++;
  wr_io_want(&p->io, WR_IO_READ);
}
