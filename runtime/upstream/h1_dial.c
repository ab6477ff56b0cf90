#include "upstream/h1_dial.h"

#include "base/alloc.h"
#include "upstream/h1_transfer.h"
#include "upstream/transfer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

struct address {
  struct sockaddr_storage addr;
  socklen_t len;
  char text[56];
};

static void read_address(const struct wr_dns_address *from, uint16_t port, struct address *out)
{
  *out = (struct address){.len = sizeof(struct sockaddr_in)};
  if (from->is_ipv6) {
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out->addr;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    WR_CHECK(inet_pton(AF_INET6, from->text, &v6->sin6_addr) == 1);
    out->len = sizeof(*v6);
  } else {
    struct sockaddr_in *v4 = (struct sockaddr_in *)&out->addr;
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    WR_CHECK(inet_pton(AF_INET, from->text, &v4->sin_addr) == 1);
  }
  snprintf(out->text, sizeof(out->text), from->is_ipv6 ? "[%.45s]:%u" : "%.45s:%u", from->text,
           (unsigned)port);
}

// The connection is the transfer's now, and so is the place in the pool.
static void succeed(struct wr_h1_dial *d)
{
  struct wr_h1_transfer *user = d->user;
  struct wr_h1_connection *c = d->conn;
  c->dial = NULL;
  user->dial = NULL;
  wr_free(d);
  wr_h1_transfer_on_open(user, c);
}

static void fail(struct wr_h1_dial *d, int error)
{
  if (wr_h1_dial_next(d)) return;
  wr_h1_transfer_on_dial_failed(d->user, WR_ERROR_CONNECT, strerror(error));
}

// A socket that connects without blocking; -1 with errno set.
static int open_socket(const struct address *to)
{
  int fd = socket(to->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (connect(fd, (const struct sockaddr *)&to->addr, to->len) == 0 || errno == EINPROGRESS) {
    return fd;
  }
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

static void drop(struct wr_h1_dial *d)
{
  if (d->conn == NULL) return;
  wr_h1_connection_close(d->conn);
  d->conn = NULL;
}

// The addresses that are left share what is left of the time.
static void share_time(struct wr_h1_dial *d)
{
  const struct wr_h1_transfer *t = d->user;
  d->until_ns = UINT64_MAX;
  if (t->timeouts.connect_ns == 0) return;
  uint64_t end = t->started_ns + t->timeouts.connect_ns;
  uint64_t now = wr_loop_now(t->tr->loop);
  uint64_t untried = d->addresses.count > d->at ? d->addresses.count - d->at : 1;
  d->until_ns = end > now ? now + (end - now) / untried : now;
}

// Tries the address whose turn it is. Returns 0, or the error number at once.
static int try_address(struct wr_h1_dial *d)
{
  struct wr_h1_pool *pool = d->user->pool;
  struct address to;
  read_address(&d->addresses.items[d->at], pool->port, &to);
  snprintf(d->user->stats.address, sizeof(d->user->stats.address), "%s", to.text);
  share_time(d);
  int fd = open_socket(&to);
  if (fd < 0) return errno;
  d->conn = wr_h1_connection_new(pool, fd, d);
  if (d->conn == NULL) return EMFILE;
  snprintf(d->conn->address, sizeof(d->conn->address), "%s", to.text);
  wr_io_want(&d->conn->io, WR_IO_WRITE);
  return 0;
}

bool wr_h1_dial_next(struct wr_h1_dial *d)
{
  drop(d);
  while (d->at + 1 < d->addresses.count) {
    d->at++;
    if (try_address(d) != 0) continue;
    wr_h1_transfer_on_dialing(d->user);
    return true;
  }
  return false;
}

void wr_h1_dial_on_ready(struct wr_h1_dial *d)
{
  int error = 0;
  socklen_t len = sizeof(error);
  getsockopt(d->conn->io.fd, SOL_SOCKET, SO_ERROR, &error, &len);
  if (error == 0) {
    succeed(d);
  } else {
    fail(d, error);
  }
}

static void on_resolved(struct wr_resolver_query *q, const struct wr_dns_answer *answer,
                        const struct wr_error *error)
{
  struct wr_h1_dial *d = WR_CONTAINER(q, struct wr_h1_dial, query);
  if (answer == NULL) {
    wr_h1_transfer_on_dial_failed(d->user, WR_ERROR_DNS, error->message);
    return;
  }
  if (d->user->is_guarded && wr_transfer_has_link_local(answer)) {
    wr_h1_transfer_on_dial_failed(d->user, WR_ERROR_INVALID,
                                  "link-local addresses are for declared upstreams only");
    return;
  }
  d->addresses = *answer;
  int failed = try_address(d);
  if (failed != 0) {
    fail(d, failed);
  } else {
    wr_h1_transfer_on_dialing(d->user);
  }
}

struct wr_h1_dial *wr_h1_dial_start(struct wr_h1_transfer *user)
{
  struct wr_h1_dial *d = wr_alloc(sizeof(*d));
  d->user = user;
  user->pool->open++;
  share_time(d);
  wr_resolver_query(user->tr->resolver, wr_str_of(user->pool->host), &d->query, on_resolved);
  return d;
}

void wr_h1_dial_stop(struct wr_h1_dial *d)
{
  wr_resolver_cancel(&d->query);
  drop(d);
  d->user->pool->open--;
  wr_free(d);
}
