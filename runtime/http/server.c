#include "http/server.h"

#include "base/alloc.h"
#include "base/duration.h"
#include "http/connection.h"
#include "http/date.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCEPT_BATCH = 64 };

// How long accepting rests when the process or the machine has no descriptors left.
#define PRESSURE_REST_NS (100 * WR_MS)

const struct wr_server_options wr_server_options_default = {
    .head_timeout_ns = 10 * WR_SECOND,
    .body_timeout_ns = 30 * WR_SECOND,
    .send_timeout_ns = 30 * WR_SECOND,
    .keep_alive_timeout_ns = 60 * WR_SECOND,
    .connections_max = 10000,
    .limits = {.head_max = 32 * 1024, .line_max = 8 * 1024, .fields_max = 100},
};

struct wr_listener {
  struct wr_list link;
  struct wr_io io;
  struct wr_server *server;
  char *name;
};

// Date

struct wr_str wr_server_date(struct wr_server *s)
{
  uint64_t now = wr_loop_now(s->loop);
  if (now >= s->date_until_ns) {
    uint64_t wall = wr_loop_wall();
    wr_date_write(s->date, (int64_t)(wall / WR_SECOND));
    s->date_until_ns = now + WR_SECOND - wall % WR_SECOND;
  }
  return (struct wr_str){s->date, WR_DATE_LEN};
}

// Accepting

static void set_accepting(struct wr_server *s, bool is_accepting)
{
  if (s->is_accepting == is_accepting) return;
  s->is_accepting = is_accepting;
  if (!is_accepting) s->stats.accept_paused++;
  WR_LIST_EACH(&s->listeners, node) {
    struct wr_listener *listener = WR_CONTAINER(node, struct wr_listener, link);
    wr_io_want(&listener->io, is_accepting ? WR_IO_READ : 0);
  }
}

void wr_server_has_room(struct wr_server *s)
{
  bool is_resting = wr_timer_is_running(&s->accept_timer);
  if (!is_resting && s->stats.open < s->options.connections_max) set_accepting(s, true);
}

static void on_rested(struct wr_timer *t)
{
  wr_server_has_room(WR_CONTAINER(t, struct wr_server, accept_timer));
}

static int open_reserve(void)
{
  return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

// Without a descriptor the next client could not even be turned away, and the listener would stay
// readable for ever. One is kept for that; then accepting rests.
static void turn_one_away(struct wr_server *s, int fd)
{
  if (s->reserve_fd >= 0) {
    close(s->reserve_fd);
    int refused = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (refused >= 0) close(refused);
    s->reserve_fd = open_reserve();
  }
  set_accepting(s, false);
  wr_timer_start(&s->accept_timer, PRESSURE_REST_NS);
}

static uint16_t write_peer(const struct sockaddr_storage *peer, char *text, size_t size)
{
  if (peer->ss_family == AF_INET) {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)peer;
    inet_ntop(AF_INET, &v4->sin_addr, text, (socklen_t)size);
    return ntohs(v4->sin_port);
  }
  if (peer->ss_family == AF_INET6) {
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)peer;
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
      inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], text, (socklen_t)size);
    } else {
      inet_ntop(AF_INET6, &v6->sin6_addr, text, (socklen_t)size);
    }
    return ntohs(v6->sin6_port);
  }
  snprintf(text, size, "unix");
  return 0;
}

static bool is_pressure(int error)
{
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

// Takes one client from the queue. False when there is none, or none may be taken now.
static bool accept_one(struct wr_server *s, int listener)
{
  struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
  socklen_t len = sizeof(peer);
  int fd = accept4(listener, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    int error = errno;
    if (is_pressure(error)) turn_one_away(s, listener);
    // A client that left while it was queued is no reason to stop.
    return error == EINTR || error == ECONNABORTED || error == EPROTO;
  }
  char client[INET6_ADDRSTRLEN];
  uint16_t port = write_peer(&peer, client, sizeof(client));
  s->stats.accepted++;
  return wr_connection_open(s, fd, client, port);
}

static void on_acceptable(struct wr_io *io, int events)
{
  (void)events;
  struct wr_listener *listener = WR_CONTAINER(io, struct wr_listener, io);
  struct wr_server *s = listener->server;
  for (int i = 0; i < ACCEPT_BATCH && s->is_accepting; i++) {
    if (s->stats.open >= s->options.connections_max) {
      set_accepting(s, false);
      return;
    }
    if (!accept_one(s, io->fd)) return;
  }
}

// Listeners

int wr_server_listen(struct wr_server *s, int fd, struct wr_str name)
{
  struct wr_listener *listener = wr_alloc(sizeof(*listener));
  int rc = wr_io_open(&listener->io, s->loop, fd, "http listener", on_acceptable);
  if (rc != 0) {
    close(fd);
    wr_free(listener);
    return rc;
  }
  // Accepted sockets inherit it. Fails where it has no meaning (UNIX sockets).
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  listener->server = s;
  listener->name = wr_strndup(name.ptr, name.len);
  wr_list_push(&s->listeners, &listener->link);
  if (s->is_accepting) wr_io_want(&listener->io, WR_IO_READ);
  return 0;
}

static void on_listener_closed(struct wr_io *io)
{
  struct wr_listener *listener = WR_CONTAINER(io, struct wr_listener, io);
  struct wr_server *s = listener->server;
  s->listeners_closing--;
  wr_free(listener->name);
  wr_free(listener);
  wr_server_check_drained(s);
}

static void close_listener(struct wr_listener *listener)
{
  int fd = listener->io.fd;
  wr_list_remove(&listener->link);
  listener->server->listeners_closing++;
  wr_io_close(&listener->io, on_listener_closed);
  close(fd);
}

void wr_server_unlisten(struct wr_server *s, struct wr_str name)
{
  WR_LIST_EACH(&s->listeners, node) {
    struct wr_listener *listener = WR_CONTAINER(node, struct wr_listener, link);
    if (wr_str_eq(wr_str_of(listener->name), name)) close_listener(listener);
  }
}

// Ending

static bool is_empty(const struct wr_server *s)
{
  return wr_list_is_empty(&s->connections) && wr_list_is_empty(&s->listeners) &&
         s->listeners_closing == 0;
}

void wr_server_check_drained(struct wr_server *s)
{
  if (!s->is_draining || s->on_drained == NULL || !is_empty(s)) return;
  void (*on_drained)(void *ctx) = s->on_drained;
  s->on_drained = NULL;
  on_drained(s->drained_ctx);
}

static void on_drained_work(struct wr_deferred *d)
{
  wr_server_check_drained(WR_CONTAINER(d, struct wr_server, drained_work));
}

void wr_server_drain(struct wr_server *s, void (*on_drained)(void *ctx), void *ctx)
{
  WR_CHECK(!s->is_draining);
  s->is_draining = true;
  s->on_drained = on_drained;
  s->drained_ctx = ctx;
  wr_timer_stop(&s->accept_timer);
  WR_LIST_EACH(&s->listeners, node) {
    close_listener(WR_CONTAINER(node, struct wr_listener, link));
  }
  WR_LIST_EACH(&s->connections, node) {
    wr_connection_drain(WR_CONTAINER(node, struct wr_connection, link));
  }
  wr_loop_defer(s->loop, &s->drained_work);
}

void wr_server_abort(struct wr_server *s)
{
  WR_LIST_EACH(&s->connections, node) {
    struct wr_connection *c = WR_CONTAINER(node, struct wr_connection, link);
    wr_connection_fail(c, WR_ERROR_CANCELLED, "the server breaks off");
    wr_connection_poke(c);
  }
}

// Life

struct wr_server *wr_server_new(struct wr_loop *l, const struct wr_server_options *options,
                                const struct wr_http_hooks *hooks, void *ctx)
{
  struct wr_server *s = wr_alloc(sizeof(*s));
  s->loop = l;
  s->options = *options;
  s->hooks = *hooks;
  s->ctx = ctx;
  s->is_accepting = true;
  if (options->via != NULL && !options->is_admin) {
    char text[256];
    int len = snprintf(text, sizeof(text), "1.1 %s", options->via);
    WR_CHECK(len > 0 && (size_t)len < sizeof(text));
    s->via = wr_str_of(wr_strndup(text, (size_t)len));
    s->options.via = s->via.ptr + 4;
  } else {
    s->options.via = NULL;
  }
  if (options->server_name != NULL) s->server_name = wr_str_of(wr_strdup(options->server_name));
  s->options.server_name = s->server_name.ptr;
  s->scratch = wr_alloc(WR_SERVER_READ_MAX);
  s->reserve_fd = open_reserve();
  wr_rng_init(&s->rng, wr_loop_entropy());
  wr_list_init(&s->connections);
  wr_list_init(&s->listeners);
  wr_timer_init(&s->accept_timer, l, on_rested);
  wr_deferred_init(&s->drained_work, on_drained_work);
  return s;
}

const struct wr_server_stats *wr_server_stats(const struct wr_server *s)
{
  return &s->stats;
}

void wr_server_free(struct wr_server *s)
{
  WR_CHECK(is_empty(s));
  wr_timer_stop(&s->accept_timer);
  wr_loop_undefer(&s->drained_work);
  if (s->reserve_fd >= 0) close(s->reserve_fd);
  wr_free((char *)s->via.ptr);
  wr_free((char *)s->server_name.ptr);
  wr_free(s->scratch);
  wr_free(s);
}
