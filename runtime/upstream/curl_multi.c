#include "upstream/curl_multi.h"

#include "base/alloc.h"
#include "loop/io.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct watch {
  struct wr_io io;
  struct wr_curl_multi *multi;
};

// The library calls back into us from here only, and from pausing and removing.
static void act(struct wr_curl_multi *m, curl_socket_t fd, int mask)
{
  int running;
  WR_CHECK(curl_multi_socket_action(m->curl, fd, mask, &running) == CURLM_OK);
  CURLMsg *msg;
  int left;
  while ((msg = curl_multi_info_read(m->curl, &left)) != NULL) {
    if (msg->msg == CURLMSG_DONE) m->on_done(msg->easy_handle, msg->data.result);
  }
}

static void on_timer(struct wr_timer *t)
{
  act(WR_CONTAINER(t, struct wr_curl_multi, timer), CURL_SOCKET_TIMEOUT, 0);
}

// Called by curl, which must not be called back from inside: a timer, even for "now".
static int on_curl_timer(CURLM *curl, long timeout_ms, void *ctx)
{
  (void)curl;
  struct wr_curl_multi *m = ctx;
  if (timeout_ms < 0) {
    wr_timer_stop(&m->timer);
  } else {
    wr_timer_start(&m->timer, (uint64_t)timeout_ms * 1000000u);
  }
  return 0;
}

static void on_ready(struct wr_io *io, int events)
{
  struct watch *w = WR_CONTAINER(io, struct watch, io);
  int mask = 0;
  if (events & WR_IO_READ) mask |= CURL_CSELECT_IN;
  if (events & WR_IO_WRITE) mask |= CURL_CSELECT_OUT;
  if (events & WR_IO_ERROR) mask |= CURL_CSELECT_ERR;
  act(w->multi, io->fd, mask);
}

static void finish_close(struct wr_curl_multi *m)
{
  if (!m->is_closing || m->watched > 0) return;
  wr_free(m->sockets);
  m->sockets = NULL;
  m->on_closed(m);
}

static void on_watch_closed(struct wr_io *io)
{
  struct watch *w = WR_CONTAINER(io, struct watch, io);
  struct wr_curl_multi *m = w->multi;
  wr_free(w);
  m->watched--;
  finish_close(m);
}

static struct watch *open_watch(struct wr_curl_multi *m, curl_socket_t fd)
{
  struct watch *w = wr_alloc(sizeof(*w));
  w->multi = m;
  if (wr_io_open(&w->io, m->loop, fd, "curl socket", on_ready) != 0) {
    wr_free(w);
    return NULL; // nothing will be heard of it: the transfer's time limits end it
  }
  m->watched++;
  curl_multi_assign(m->curl, fd, w);
  return w;
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *socket_ctx)
{
  (void)easy;
  struct wr_curl_multi *m = ctx;
  struct watch *w = socket_ctx;
  if (what == CURL_POLL_REMOVE) {
    if (w == NULL) return 0;
    curl_multi_assign(m->curl, fd, NULL);
    wr_io_close(&w->io, on_watch_closed);
    return 0;
  }
  if (w == NULL) w = open_watch(m, fd);
  if (w == NULL) return 0;
  int wanted = 0;
  if (what & CURL_POLL_IN) wanted |= WR_IO_READ;
  if (what & CURL_POLL_OUT) wanted |= WR_IO_WRITE;
  wr_io_want(&w->io, wanted);
  return 0;
}

// Sockets behind connections

static int on_curl_close(void *ctx, curl_socket_t fd)
{
  struct wr_curl_multi *m = ctx;
  if ((size_t)fd < m->sockets_cap) m->sockets[fd] = (struct wr_curl_socket){0};
  m->open--;
  return close(fd);
}

curl_socket_t wr_curl_multi_open(struct wr_curl_multi *m, const struct curl_sockaddr *address)
{
  int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  if (fd < 0) return CURL_SOCKET_BAD;
  m->open++;
  if ((size_t)fd >= m->sockets_cap) {
    size_t cap = (size_t)fd * 2 + 64;
    m->sockets = wr_realloc(m->sockets, cap * sizeof(*m->sockets));
    memset(m->sockets + m->sockets_cap, 0, (cap - m->sockets_cap) * sizeof(*m->sockets));
    m->sockets_cap = cap;
  }
  m->sockets[fd] = (struct wr_curl_socket){0};
  return fd;
}

static uint32_t both_ports(int local_port, int remote_port)
{
  return (uint32_t)local_port << 16 | (uint32_t)remote_port;
}

void wr_curl_multi_connected(struct wr_curl_multi *m, curl_socket_t fd, int local_port,
                             int remote_port)
{
  m->sockets[fd].ports = both_ports(local_port, remote_port);
}

void wr_curl_multi_is_h2(struct wr_curl_multi *m, curl_socket_t fd)
{
  m->sockets[fd].is_h2 = true;
}

static bool has_input(int fd)
{
  char byte;
  return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || (errno != EAGAIN && errno != EINTR);
}

bool wr_curl_multi_is_spent(const struct wr_curl_multi *m, int local_port, int remote_port)
{
  // Two endpoints may rarely share both ports under different addresses; then either one's input
  // counts.
  uint32_t ports = both_ports(local_port, remote_port);
  for (size_t fd = 0; fd < m->sockets_cap; fd++) {
    if (m->sockets[fd].ports != ports || m->sockets[fd].is_h2) continue;
    if (has_input((int)fd)) return true;
  }
  return false;
}

// Life

void wr_curl_multi_init(struct wr_curl_multi *m, struct wr_loop *l, long endpoint_connections_max,
                        long connections_max)
{
  m->loop = l;
  wr_timer_init(&m->timer, l, on_timer);
  m->curl = curl_multi_init();
  WR_CHECK(m->curl != NULL);
  curl_multi_setopt(m->curl, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
  curl_multi_setopt(m->curl, CURLMOPT_SOCKETDATA, m);
  curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, on_curl_timer);
  curl_multi_setopt(m->curl, CURLMOPT_TIMERDATA, m);
  // One stream at a time on an HTTP/2 connection: while others on it are read, libcurl 7.88 goes on
  // buffering a paused one (measured: four paused bodies of 30 MB each took 117 MB, and 2 MB so).
  curl_multi_setopt(m->curl, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
  curl_multi_setopt(m->curl, CURLMOPT_MAX_HOST_CONNECTIONS, endpoint_connections_max);
  curl_multi_setopt(m->curl, CURLMOPT_MAXCONNECTS, connections_max);
}

void wr_curl_multi_close(struct wr_curl_multi *m, void (*on_closed)(struct wr_curl_multi *m))
{
  m->on_closed = on_closed;
  curl_multi_cleanup(m->curl);
  wr_timer_stop(&m->timer);
  m->is_closing = true;
  finish_close(m);
}

void wr_curl_multi_attach(struct wr_curl_multi *m, CURL *easy, curl_opensocket_callback on_open,
                          void *ctx)
{
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, ctx);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_curl_close);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, m);
}
