#include "upstream/h1_dial.h"

#include "base/alloc.h"
#include "upstream/address.h"
#include "upstream/h1_tls.h"
#include "upstream/outbound_tls.h"
#include "upstream/transfer.h"

#include <errno.h>

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
  uint64_t now = wr_loop_now(t->tr->base.loop);
  uint64_t untried = d->addresses.count > d->at ? d->addresses.count - d->at : 1;
  d->until_ns = end > now ? now + (end - now) / untried : now;
}

// Begins to connect. Returns 0, or the error number at once.
static int begin(struct wr_h1_dial *d, const struct wr_address *to)
{
  memcpy(d->user->stats.address, to->text, sizeof(to->text));
  share_time(d);
  int fd = wr_address_connect(to);
  if (fd < 0) return errno;
  d->conn = wr_h1_connection_new(d->user->pool, fd, d);
  if (d->conn == NULL) return EMFILE;
  memcpy(d->conn->address, to->text, sizeof(to->text));
  wr_io_want(&d->conn->io, WR_IO_WRITE);
  return 0;
}

// Tries the address whose turn it is.
static int try_address(struct wr_h1_dial *d)
{
  struct wr_address to;
  wr_address_of(&to, &d->addresses.items[d->at], d->user->pool->port);
  return begin(d, &to);
}

// A Unix socket needs no name, and connects or fails at once: a backlog that is full does, too.
static void try_path(struct wr_h1_dial *d, struct wr_str path)
{
  struct wr_address to;
  wr_address_of_path(&to, path);
  int failed = begin(d, &to);
  if (failed == 0) return;
  const char *cause = failed == EAGAIN ? "its backlog is full" : strerror(failed);
  wr_h1_transfer_fail_later(d->user, WR_ERROR_CONNECT, cause);
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

static void await_handshake(struct wr_h1_connection *c)
{
  wr_io_want(&c->io, c->channel->unsent > 0 ? WR_IO_READ | WR_IO_WRITE : WR_IO_READ);
}

static void begin_handshake(struct wr_h1_dial *d)
{
  struct wr_error error;
  if (wr_h1_tls_begin(d->conn, &error)) {
    await_handshake(d->conn);
  } else {
    wr_h1_transfer_on_dial_failed(d->user, error.kind, error.message);
  }
}

static void shake_hands(struct wr_h1_dial *d, int events)
{
  const char *reason;
  switch (wr_h1_tls_shake(d->conn, events, &reason)) {
  case WR_TLS_READY: succeed(d); break;
  case WR_TLS_FAILED: wr_h1_transfer_on_dial_failed(d->user, WR_ERROR_TLS, reason); break;
  case WR_TLS_SHAKING: await_handshake(d->conn); break;
  }
}

void wr_h1_dial_on_ready(struct wr_h1_dial *d, int events)
{
  int error = 0;
  socklen_t len = sizeof(error);
  if (d->conn->channel != NULL) {
    shake_hands(d, events);
    return;
  }
  getsockopt(d->conn->io.fd, SOL_SOCKET, SO_ERROR, &error, &len);
  if (error != 0) {
    fail(d, error);
  } else if (d->user->pool->tls != NULL) {
    begin_handshake(d);
  } else {
    succeed(d);
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
  struct wr_str host = wr_str_of(user->pool->host);
  if (wr_transfer_is_path(host)) {
    try_path(d, host);
  } else {
    share_time(d);
    wr_resolver_query(user->tr->resolver, host, &d->query, on_resolved);
  }
  return d;
}

void wr_h1_dial_stop(struct wr_h1_dial *d)
{
  wr_resolver_cancel(&d->query);
  drop(d);
  d->user->pool->open--;
  wr_free(d);
}
