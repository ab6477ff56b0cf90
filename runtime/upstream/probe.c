#include "upstream/probe.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// --- ending -------------------------------------------------------------------------------------

static void on_io_closed(struct wr_io *io)
{
  struct wr_probe *p = WR_CONTAINER(io, struct wr_probe, io);
  p->on_closed(p);
}

static void leave(struct wr_probe *p)
{
  p->is_over = true;
  wr_resolver_cancel(&p->query);
  if (p->is_closing) return; // the address before is still on its way out
  if (p->fd < 0) {
    p->on_closed(p);
    return;
  }
  wr_io_close(&p->io, on_io_closed);
  close(p->fd);
  p->fd = -1;
}

static void finish(struct wr_probe *p, const struct wr_error *error)
{
  p->is_over = true;
  p->on_done(p, error);
  leave(p);
}

void wr_probe_cancel(struct wr_probe *p)
{
  if (!p->is_over) leave(p);
}

static void fail(struct wr_probe *p, enum wr_error_kind kind, const char *what, int code)
{
  struct wr_error error;
  const char *host = p->addresses.items[p->tried - 1].text;
  wr_error_set(&error, kind, "%s %s port %u: %s", what, host, p->port, strerror(code));
  finish(p, &error);
}

// --- talking ------------------------------------------------------------------------------------

static void judge(struct wr_probe *p)
{
  struct wr_error error;
  struct wr_str answer = {p->answer, p->len};
  switch (wr_probe_judge((enum wr_health_type)p->type, answer, &error)) {
  case WR_PROBE_GOOD: finish(p, NULL); return;
  case WR_PROBE_BAD: finish(p, &error); return;
  case WR_PROBE_MORE: break;
  }
  if (p->len < sizeof(p->answer)) return;
  wr_error_set(&error, WR_ERROR_PROTOCOL, "the answer is longer than %d bytes",
               WR_PROBE_ANSWER_MAX);
  finish(p, &error);
}

static void receive(struct wr_probe *p)
{
  ssize_t n = recv(p->fd, p->answer + p->len, sizeof(p->answer) - p->len, 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n < 0) {
    fail(p, WR_ERROR_RESET, "reading from", errno);
  } else if (n == 0) {
    struct wr_error error;
    wr_error_set(&error, WR_ERROR_RESET, "the connection was closed before the answer");
    finish(p, &error);
  } else {
    p->len += (size_t)n;
    judge(p);
  }
}

static void transmit(struct wr_probe *p)
{
  if (p->unsent.len > 0) {
    ssize_t n = send(p->fd, p->unsent.ptr, p->unsent.len, MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n < 0) {
      fail(p, WR_ERROR_RESET, "writing to", errno);
      return;
    }
    p->unsent.ptr += n;
    p->unsent.len -= (size_t)n;
  }
  if (p->unsent.len == 0) wr_io_want(&p->io, WR_IO_READ);
}

static void on_talk(struct wr_io *io, int events)
{
  struct wr_probe *p = WR_CONTAINER(io, struct wr_probe, io);
  if (p->is_over) return;
  if (p->unsent.len > 0 && (events & WR_IO_WRITE)) {
    transmit(p);
  } else {
    receive(p);
  }
}

// --- connecting ---------------------------------------------------------------------------------

static void connect_next(struct wr_probe *p);

static void on_retry_closed(struct wr_io *io)
{
  struct wr_probe *p = WR_CONTAINER(io, struct wr_probe, io);
  p->is_closing = false;
  if (p->is_over) {
    p->on_closed(p);
  } else {
    connect_next(p);
  }
}

// The address does not answer: the next one, or the end.
static void give_up_address(struct wr_probe *p, int code)
{
  if (p->tried == p->addresses.count) {
    fail(p, WR_ERROR_CONNECT, "connecting to", code);
    return;
  }
  p->is_closing = true;
  wr_io_close(&p->io, on_retry_closed);
  close(p->fd);
  p->fd = -1;
}

static void on_connected(struct wr_io *io, int events)
{
  (void)events;
  struct wr_probe *p = WR_CONTAINER(io, struct wr_probe, io);
  if (p->is_over) return;
  int code = 0;
  socklen_t size = sizeof(code);
  if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &code, &size) != 0) code = errno;
  if (code != 0) {
    give_up_address(p, code);
    return;
  }
  p->unsent = wr_probe_hello((enum wr_health_type)p->type);
  if (p->unsent.len == 0) {
    judge(p);
    return;
  }
  io->on_ready = on_talk;
  transmit(p);
}

static socklen_t fill_address(const struct wr_probe *p, const struct wr_dns_address *from,
                              struct sockaddr_storage *out)
{
  memset(out, 0, sizeof(*out));
  if (from->is_ipv6) {
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(p->port);
    inet_pton(AF_INET6, from->text, &in6->sin6_addr);
    return sizeof(*in6);
  }
  struct sockaddr_in *in = (struct sockaddr_in *)out;
  in->sin_family = AF_INET;
  in->sin_port = htons(p->port);
  inet_pton(AF_INET, from->text, &in->sin_addr);
  return sizeof(*in);
}

// Opens a socket and begins to connect. 0, or an errno; no descriptor is left then.
static int begin_connect(struct wr_probe *p, const struct wr_dns_address *to)
{
  struct sockaddr_storage address;
  socklen_t size = fill_address(p, to, &address);
  p->fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (p->fd < 0) return errno;
  int code = 0;
  if (connect(p->fd, (struct sockaddr *)&address, size) != 0 && errno != EINPROGRESS) code = errno;
  if (code == 0 && wr_io_open(&p->io, p->loop, p->fd, "health probe", on_connected) != 0) {
    code = ENOMEM;
  }
  if (code != 0) {
    close(p->fd);
    p->fd = -1;
  }
  return code;
}

static void connect_next(struct wr_probe *p)
{
  int code = 0;
  while (p->tried < p->addresses.count) {
    code = begin_connect(p, &p->addresses.items[p->tried++]);
    if (code == 0) {
      wr_io_want(&p->io, WR_IO_WRITE);
      return;
    }
  }
  fail(p, WR_ERROR_CONNECT, "connecting to", code);
}

static void on_addresses(struct wr_resolver_query *q, const struct wr_dns_answer *answer,
                         const struct wr_error *error)
{
  struct wr_probe *p = WR_CONTAINER(q, struct wr_probe, query);
  if (answer == NULL) {
    finish(p, error);
    return;
  }
  p->addresses = *answer;
  connect_next(p);
}

void wr_probe_start(struct wr_probe *p, struct wr_loop *l, struct wr_resolver *r,
                    const struct wr_probe_target *target)
{
  p->loop = l;
  p->type = (uint8_t)target->type;
  p->port = target->port;
  p->fd = -1;
  p->tried = 0;
  p->len = 0;
  p->is_over = false;
  p->is_closing = false;
  memset(&p->query, 0, sizeof(p->query));
  wr_resolver_query(r, target->host, &p->query, on_addresses);
}
