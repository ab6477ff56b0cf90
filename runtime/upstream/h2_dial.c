#include "upstream/h2_dial.h"

#include "base/alloc.h"
#include "upstream/address.h"
#include "upstream/h2_call.h"
#include "upstream/outbound_tls.h"
#include "upstream/transfer.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

// Sockets

static void on_socket_closed(struct wr_io *io)
{
  struct wr_h2_socket *s = WR_CONTAINER(io, struct wr_h2_socket, io);
  struct wr_h2_transport *tr = s->tr;
  wr_free(s);
  tr->sockets--;
  wr_h2_transport_check_closed(tr);
}

void wr_h2_dial_drop(struct wr_h2_link *l)
{
  if (l->socket == NULL) return;
  l->socket->owner = NULL;
  wr_io_close(&l->socket->io, on_socket_closed);
  wr_channel_close(&l->channel, false);
  wr_channel_free(&l->channel);
  l->socket = NULL;
}

static int open_socket(struct wr_h2_link *l, const struct wr_address *to)
{
  int fd = wr_address_connect(to);
  if (fd < 0) return errno;
  struct wr_h2_socket *s = wr_alloc(sizeof(*s));
  if (wr_io_open(&s->io, l->tr->base.loop, fd, "upstream h2 connection", wr_h2_link_on_ready) !=
      0) {
    close(fd);
    wr_free(s);
    return EMFILE;
  }
  s->tr = l->tr;
  s->owner = l;
  l->tr->sockets++;
  l->socket = s;
  wr_channel_open(&l->channel, fd);
  wr_io_want(&s->io, WR_IO_WRITE);
  return 0;
}

// Addresses

// The addresses that are left share what is left of the time.
static void share_time(struct wr_h2_link *l)
{
  if (l->open_by_ns == 0) return;
  uint64_t now = wr_loop_now(l->tr->base.loop);
  uint64_t untried = l->addresses.count > l->at ? l->addresses.count - l->at : 1;
  uint64_t left = l->open_by_ns > now ? l->open_by_ns - now : 0;
  wr_timer_start_at(&l->timer, now + left / untried);
}

// Calls show where their connection leads, from the first attempt on.
static void note_address(struct wr_h2_link *l, const struct wr_address *to)
{
  memcpy(l->address, to->text, sizeof(to->text));
  WR_LIST_EACH(&l->calls, node) {
    struct wr_h2_call *c = WR_CONTAINER(node, struct wr_h2_call, on_link);
    memcpy(c->stats.address, l->address, sizeof(l->address));
  }
}

static int try_address(struct wr_h2_link *l)
{
  struct wr_address to;
  wr_address_of(&to, &l->addresses.items[l->at], l->port);
  note_address(l, &to);
  share_time(l);
  return open_socket(l, &to);
}

const char *wr_h2_dial_late(const struct wr_h2_link *l)
{
  if (l->channel.tls) return "no end of the TLS handshake";
  return l->addresses.count > 0 || l->socket ? "no connection" : "the name did not resolve";
}

bool wr_h2_dial_next(struct wr_h2_link *l)
{
  wr_h2_dial_drop(l);
  while (l->at + 1 < l->addresses.count) {
    l->at++;
    if (try_address(l) == 0) return true;
  }
  return false;
}

static void fail_address(struct wr_h2_link *l, int error)
{
  if (wr_h2_dial_next(l)) return;
  const char *cause = error == EAGAIN ? "its backlog is full" : strerror(error);
  wr_h2_link_give_up(l, WR_ERROR_CONNECT, cause);
}

static void on_resolved(struct wr_resolver_query *q, const struct wr_dns_answer *answer,
                        const struct wr_error *error)
{
  struct wr_h2_link *l = WR_CONTAINER(q, struct wr_h2_link, query);
  if (answer == NULL) {
    wr_h2_link_give_up(l, WR_ERROR_DNS, error->message);
    return;
  }
  if (l->is_guarded && wr_transfer_has_link_local(answer)) {
    wr_h2_link_give_up(l, WR_ERROR_INVALID, "link-local addresses are for declared upstreams only");
    return;
  }
  l->addresses = *answer;
  int failed = try_address(l);
  if (failed != 0) fail_address(l, failed);
}

// From `work`, so that what fails at once is told like everything else.
void wr_h2_dial_start(struct wr_h2_link *l)
{
  struct wr_address to;
  struct wr_str host = wr_str_of(l->host);
  if (!wr_transfer_is_path(host)) {
    wr_resolver_query(l->tr->resolver, host, &l->query, on_resolved);
    return;
  }
  wr_address_of_path(&to, host);
  note_address(l, &to);
  share_time(l);
  int failed = open_socket(l, &to);
  if (failed != 0) fail_address(l, failed);
}

// The socket has connected

static void fail_handshake(struct wr_h2_link *l, enum wr_error_kind kind, const char *reason)
{
  char cause[WR_ERROR_MESSAGE_MAX]; // the session goes before it is told
  snprintf(cause, sizeof(cause), "%s", reason);
  wr_h2_link_give_up(l, kind, cause);
}

static void succeed(struct wr_h2_link *l, size_t early)
{
  if (l->tls) {
    struct wr_str chosen = wr_tls_session_facts(&l->channel)->protocol;
    if (!wr_str_eq(chosen, WR_STR("h2"))) {
      fail_handshake(l, WR_ERROR_TLS, "it does not speak HTTP/2 over TLS (by ALPN)");
      return;
    }
  }
  wr_timer_stop(&l->timer);
  wr_h2_link_on_open(l, early);
}

static void shake_hands(struct wr_h2_link *l, int events)
{
  struct wr_outbound_tls_step step = {
      .to = l->tr->scratch, .room = WR_H2_LINK_READ, .is_failed = events & WR_IO_ERROR};
  switch (wr_outbound_tls_step(&l->channel, &step)) {
  case WR_TLS_READY: succeed(l, step.got); break;
  case WR_TLS_FAILED: fail_handshake(l, WR_ERROR_TLS, step.reason); break;
  case WR_TLS_SHAKING:
    wr_io_want(&l->socket->io, l->channel.unsent > 0 ? WR_IO_READ | WR_IO_WRITE : WR_IO_READ);
    break;
  }
}

static void begin_handshake(struct wr_h2_link *l)
{
  struct wr_error error;
  const struct wr_outbound_tls_ask ask = {
      .tls = l->tls,
      .name = l->name,
      .protocol = WR_TLS_HTTP2,
      .preamble = {l->preamble, l->preamble_len},
      .resume = {l->key, l->preamble_len > 0 ? 0 : l->key_len},
  };
  if (!wr_outbound_tls_begin(l->tr->options.tls, &l->channel, &ask, &error)) {
    wr_h2_link_give_up(l, error.kind, error.message);
    return;
  }
  wr_io_want(&l->socket->io, l->channel.unsent > 0 ? WR_IO_READ | WR_IO_WRITE : WR_IO_READ);
}

void wr_h2_dial_on_ready(struct wr_h2_link *l, int events)
{
  int error = 0;
  socklen_t len = sizeof(error);
  if (l->channel.tls) {
    shake_hands(l, events);
    return;
  }
  getsockopt(l->channel.fd, SOL_SOCKET, SO_ERROR, &error, &len);
  if (error != 0) {
    fail_address(l, error);
  } else if (l->tls) {
    begin_handshake(l);
  } else {
    succeed(l, 0);
  }
}
