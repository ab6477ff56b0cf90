#include "http/listener.h"

#include "arena/clients.h"
#include "base/alloc.h"
#include "base/duration.h"
#include "http/connection.h"
#include "http/preface.h"
#include "http/tls_session.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  ACCEPT_BATCH = 64,
  RECLAIM_BATCH = 32, // idle connections that make room at once
};

// How long accepting rests when the process or the machine has no descriptors left.
#define PRESSURE_REST_NS (100 * WR_MS)

// Who has been quiet for less may have a request on its way: a crowd of newcomers must not cut each
// other off.
#define RECLAIM_AGE_NS (250 * WR_MS)

// Room

static void set_accepting(struct wr_server *s, bool is_accepting)
{
  if (s->is_accepting == is_accepting) return;
  s->is_accepting = is_accepting;
  WR_LIST_EACH(&s->listeners, node) {
    struct wr_listener *listener = WR_CONTAINER(node, struct wr_listener, link);
    wr_io_want(&listener->io, is_accepting ? WR_IO_READ : 0);
  }
}

// Rests until a connection closes, or somebody has idled for long enough by now.
static void rest_full(struct wr_server *s)
{
  if (!s->is_full) s->stats.accept_paused++;
  s->is_full = true;
  set_accepting(s, false);
  wr_timer_start(&s->accept_timer, RECLAIM_AGE_NS);
}

static void rest_under_pressure(struct wr_server *s)
{
  s->stats.accept_paused++;
  s->is_full = false;
  set_accepting(s, false);
  wr_timer_start(&s->accept_timer, PRESSURE_REST_NS);
}

void wr_server_has_room(struct wr_server *s)
{
  if (!s->is_full || s->stats.open >= s->options.connections_max) return;
  s->is_full = false;
  wr_timer_stop(&s->accept_timer);
  set_accepting(s, true);
}

static void on_rested(struct wr_timer *t)
{
  set_accepting(WR_CONTAINER(t, struct wr_server, accept_timer), true);
}

// The longest idle connections make room. False when none has idled for long enough.
static bool reclaim(struct wr_server *s)
{
  bool any = false;
  uint64_t now = wr_loop_now(s->loop);
  for (int i = 0; i < RECLAIM_BATCH && !wr_list_is_empty(&s->idle); i++) {
    struct wr_connection *c = WR_CONTAINER(s->idle.next, struct wr_connection, idle);
    if (now - c->since_ns < RECLAIM_AGE_NS) break;
    s->stats.reclaimed++;
    wr_connection_close(c, false);
    any = true;
  }
  return any;
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
    if (refused >= 0) {
      s->stats.refused_descriptors++;
      wr_listener_reset(refused);
    }
  }
  s->reserve_fd = open_reserve();
  rest_under_pressure(s);
}

// Clients

void wr_listener_reset(int fd)
{
  struct linger now = {.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  close(fd);
}

// Where the client's connections are counted from now on, or WR_CLIENTS_REFUSED.
static int32_t take_seat(struct wr_server *s, const struct wr_peer *peer,
                         const struct wr_listen_rules *rules)
{
  struct {
    uint64_t salt;
    unsigned char owner[16];
  } who = {.salt = rules->salt};
  struct wr_arena *arena = s->options.arena;
  if (rules->options.per_client == 0 || arena == NULL) return WR_CLIENTS_UNCOUNTED;
  if (!wr_peer_owner(peer, who.owner)) return WR_CLIENTS_UNCOUNTED;
  if (wr_networks_has(&rules->options.exempt, wr_str_of(peer->text))) return WR_CLIENTS_UNCOUNTED;
  uint64_t key = wr_clients_key(arena, (struct wr_str){(const char *)&who, sizeof(who)});
  int32_t seat = wr_clients_enter(arena, s->options.slot, key, rules->options.per_client);
  s->stats.uncounted += seat == WR_CLIENTS_UNCOUNTED;
  return seat;
}

void wr_listener_admit(struct wr_server *s, int fd, const struct wr_peer *peer,
                       const struct wr_proxy_protocol *told, const struct wr_listen_rules *rules)
{
  struct wr_connection_start start = {.fd = fd,
                                      .peer = *peer,
                                      .told = told,
                                      .seat = take_seat(s, peer, rules),
                                      .tls = rules->options.tls,
                                      .no_h2 = rules->options.no_h2};
  if (start.seat == WR_CLIENTS_REFUSED) {
    s->stats.refused_client++;
    wr_listener_reset(fd);
    return;
  }
  wr_connection_open(s, &start);
}

static void greet(struct wr_listener *listener, int fd, const struct wr_peer *peer)
{
  struct wr_server *s = listener->server;
  const struct wr_listen_options *o = &listener->rules->options;
  bool is_listed = o->proxies.count > 0 || o->proxies.has_unix;
  if (!o->is_proxied) {
    wr_listener_admit(s, fd, peer, NULL, listener->rules);
  } else if (is_listed && !wr_networks_has(&o->proxies, wr_str_of(peer->text))) {
    s->stats.refused_proxy++;
    wr_listener_reset(fd);
  } else {
    wr_preface_open(listener, fd, peer);
  }
}

static bool is_pressure(int error)
{
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

// Takes one client from the queue. False when there is none, or none may be taken now.
static bool accept_one(struct wr_listener *listener)
{
  struct wr_server *s = listener->server;
  struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
  socklen_t len = sizeof(address);
  int fd =
      accept4(listener->io.fd, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    int error = errno;
    if (is_pressure(error) && reclaim(s)) return true;
    if (is_pressure(error)) turn_one_away(s, listener->io.fd);
    // A client that left while it was queued is no reason to stop.
    return error == EINTR || error == ECONNABORTED || error == EPROTO;
  }
  struct wr_peer peer;
  wr_peer_from_socket(&peer, &address);
  s->stats.accepted++;
  greet(listener, fd, &peer);
  return true;
}

static void on_acceptable(struct wr_io *io, int events)
{
  (void)events;
  struct wr_listener *listener = WR_CONTAINER(io, struct wr_listener, io);
  struct wr_server *s = listener->server;
  for (int i = 0; i < ACCEPT_BATCH && s->is_accepting; i++) {
    if (s->stats.open >= s->options.connections_max && !reclaim(s)) {
      rest_full(s);
      return;
    }
    if (!accept_one(listener)) return;
  }
}

// Listeners

static struct wr_listen_rules *make_rules(struct wr_server *s, struct wr_str name,
                                          const struct wr_listen_options *options)
{
  struct wr_listen_rules *rules = wr_alloc(sizeof(*rules));
  if (options) rules->options = *options;
  if (rules->options.tls) wr_tls_ref(rules->options.tls);
  if (rules->options.tls && s->tls_work == NULL) s->tls_work = wr_tls_work_new();
  rules->salt = wr_hash_fnv(0, name);
  rules->refs = 1;
  return rules;
}

void wr_listener_let_go(struct wr_listen_rules *rules)
{
  if (--rules->refs > 0) return;
  wr_tls_unref(rules->options.tls);
  wr_free(rules);
}

int wr_server_listen(struct wr_server *s, int fd, struct wr_str name,
                     const struct wr_listen_options *options)
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
  listener->rules = make_rules(s, name, options);
  wr_list_push(&s->listeners, &listener->link);
  if (s->is_accepting) wr_io_want(&listener->io, WR_IO_READ);
  return 0;
}

static bool is_called(const struct wr_listener *listener, struct wr_str name)
{
  return wr_str_eq(wr_str_of(listener->name), name);
}

void wr_server_configure(struct wr_server *s, struct wr_str name,
                         const struct wr_listen_options *options)
{
  WR_LIST_EACH(&s->listeners, node) {
    struct wr_listener *listener = WR_CONTAINER(node, struct wr_listener, link);
    if (!is_called(listener, name)) continue;
    struct wr_listen_rules *old = listener->rules;
    listener->rules = make_rules(s, name, options);
    wr_listener_let_go(old);
  }
}

static void on_listener_closed(struct wr_io *io)
{
  struct wr_listener *listener = WR_CONTAINER(io, struct wr_listener, io);
  struct wr_server *s = listener->server;
  s->listeners_closing--;
  wr_listener_let_go(listener->rules);
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
    if (is_called(listener, name)) close_listener(listener);
  }
}

void wr_listener_close_all(struct wr_server *s)
{
  WR_LIST_EACH(&s->listeners, node) {
    close_listener(WR_CONTAINER(node, struct wr_listener, link));
  }
}

void wr_listener_setup(struct wr_server *s)
{
  s->reserve_fd = open_reserve();
  wr_list_init(&s->listeners);
  wr_timer_init(&s->accept_timer, s->loop, on_rested);
}
