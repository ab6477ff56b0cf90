// The floor under every proxy: bytes go from a client's socket to an upstream's and back, unread.
// One process, one thread, epoll. `bench_splice PORT UPSTREAM_PORT`, on the loopback address;
// several may share PORT. Ends with its parent's signal.

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIECE = 64 * 1024, EVENTS = 256 };

// One direction's end: what was read from `fd` and `other` did not take yet waits in `held`.
struct side {
  int fd;
  struct side *other;
  char *held;
  size_t held_len, held_at;
  bool is_ended;  // its FIN was passed on
  bool is_closed; // memory waits for the end of the turn
  struct side *next_closed;
};

static struct side *closed;

static void die(const char *what)
{
  perror(what);
  exit(1);
}

static struct sockaddr_in loopback(const char *port)
{
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return a;
}

static int listen_on(const struct sockaddr_in *address)
{
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
  if (fd < 0) die("socket");
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) != 0) die("bind");
  if (listen(fd, 4096) != 0) die("listen");
  return fd;
}

// Reading rests while what was read waits, and after the end; writing is wanted for what waits.
static void watch(int epoll, struct side *s, int how)
{
  struct epoll_event e = {.data.ptr = s};
  if (s->held_len == 0 && !s->is_ended) e.events |= EPOLLIN;
  if (s->other->held_len > 0) e.events |= EPOLLOUT;
  if (epoll_ctl(epoll, how, s->fd, &e) != 0) die("epoll_ctl");
}

static void close_pair(struct side *s)
{
  if (s->is_closed) return;
  struct side *both[] = {s, s->other};
  for (int i = 0; i < 2; i++) {
    close(both[i]->fd);
    both[i]->is_closed = true;
    both[i]->next_closed = closed;
    closed = both[i];
  }
}

// After a turn no event of it can point to them any more.
static void free_closed(void)
{
  while (closed != NULL) {
    struct side *s = closed;
    closed = s->next_closed;
    free(s->held);
    free(s);
  }
}

static void accept_all(int epoll, int listener, const struct sockaddr_in *upstream)
{
  for (;;) {
    int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (client < 0) return;
    int server = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    if (server < 0) die("socket");
    setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(server, (const struct sockaddr *)upstream, sizeof(*upstream)) != 0 &&
        errno != EINPROGRESS) {
      die("connect");
    }
    struct side *c = calloc(1, sizeof(*c)), *u = calloc(1, sizeof(*u));
    if (c == NULL || u == NULL) die("calloc");
    *c = (struct side){.fd = client, .other = u};
    *u = (struct side){.fd = server, .other = c};
    watch(epoll, c, EPOLL_CTL_ADD);
    watch(epoll, u, EPOLL_CTL_ADD);
  }
}

// What cannot be written waits, and nothing more is read from `from` until it has gone.
static void hold(int epoll, struct side *from, const char *bytes, size_t len)
{
  if (from->held == NULL && (from->held = malloc(PIECE)) == NULL) die("malloc");
  memcpy(from->held, bytes, len);
  from->held_len = len;
  from->held_at = 0;
  watch(epoll, from, EPOLL_CTL_MOD);
  watch(epoll, from->other, EPOLL_CTL_MOD);
}

static void pass(int epoll, struct side *from)
{
  static char piece[PIECE];
  ssize_t got = read(from->fd, piece, sizeof(piece));
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got < 0) {
    close_pair(from);
    return;
  }
  if (got == 0) {
    from->is_ended = true;
    shutdown(from->other->fd, SHUT_WR);
    watch(epoll, from, EPOLL_CTL_MOD);
    if (from->other->is_ended) close_pair(from);
    return;
  }
  ssize_t put = write(from->other->fd, piece, (size_t)got);
  if (put < 0 && errno != EAGAIN && errno != ENOTCONN) {
    close_pair(from);
    return;
  }
  if (put < 0) put = 0;
  if (put < got) hold(epoll, from, piece + put, (size_t)(got - put));
}

// `to` takes bytes again: what waits for it is in the other side.
static void let_go(int epoll, struct side *to)
{
  struct side *from = to->other;
  ssize_t put = write(to->fd, from->held + from->held_at, from->held_len);
  if (put < 0 && errno == EAGAIN) return;
  if (put < 0) {
    close_pair(to);
    return;
  }
  from->held_at += (size_t)put;
  from->held_len -= (size_t)put;
  if (from->held_len > 0) return;
  watch(epoll, from, EPOLL_CTL_MOD);
  watch(epoll, to, EPOLL_CTL_MOD);
}

static void serve(int epoll, const struct epoll_event *e)
{
  struct side *s = e->data.ptr;
  if (!s->is_closed && (e->events & EPOLLOUT) && s->other->held_len > 0) let_go(epoll, s);
  if (!s->is_closed && (e->events & EPOLLIN)) pass(epoll, s);
  if (!s->is_closed && (e->events & (EPOLLERR | EPOLLHUP)) && !(e->events & EPOLLIN)) close_pair(s);
}

int main(int argc, char **argv)
{
  if (argc != 3) {
    fprintf(stderr, "usage: bench_splice PORT UPSTREAM_PORT\n");
    return 2;
  }
  struct sockaddr_in own = loopback(argv[1]), upstream = loopback(argv[2]);
  int listener = listen_on(&own), epoll = epoll_create1(0);
  if (epoll < 0) die("epoll_create1");
  struct epoll_event e = {.events = EPOLLIN}, events[EVENTS];
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &e) != 0) die("epoll_ctl");
  for (;;) {
    int count = epoll_wait(epoll, events, EVENTS, -1);
    if (count < 0 && errno != EINTR) die("epoll_wait");
    for (int i = 0; i < count; i++) {
      if (events[i].data.ptr == NULL) {
        accept_all(epoll, listener, &upstream);
      } else {
        serve(epoll, &events[i]);
      }
    }
    free_closed();
  }
}
