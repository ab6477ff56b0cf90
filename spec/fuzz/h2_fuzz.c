/// libFuzzer harness: what a client of HTTP/2 may send behind the preface, to a whole server.
///
/// The first byte says in what pieces the rest is sent; then the client sends FIN and reads to the
/// end. Handlers answer at once, late, with much or never, and echo bodies, by method and path.
/// What must hold for any bytes: no policy sees a head that HTTP/1 would not have let through,
/// every exchange ends once, and nothing is left of the connection.
// sources: runtime/http/*.c runtime/base/*.c runtime/loop/*.c runtime/arena/clients.c
// sources: runtime/arena/session_keys.c runtime/resilience/retry_after.c
// libraries: libuv libssl libcrypto libnghttp2 jansson zlib

#include "base/check.h"
#include "http/server.h"
#include "loop/io.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MUCH = 200 * 1024, PIECE = 16 * 1024 };

static struct wr_loop loop;
static struct wr_server *server;
static struct sockaddr_un address = {.sun_family = AF_UNIX};
static socklen_t address_len;
static size_t live; // exchanges

// The layer above

struct work {
  uint64_t left; // to be sent
  bool is_ended;
};

static bool is_allowed(const struct wr_header *h)
{
  static const char *const refused[] = {"connection",        "keep-alive", "proxy-connection",
                                        "transfer-encoding", "upgrade",    NULL};
  for (size_t i = 0; refused[i] != NULL; i++) {
    if (wr_str_eq_nocase(h->name, wr_str_of(refused[i]))) return false;
  }
  return wr_headers_is_token(h->name) && wr_headers_is_value(h->value);
}

static void check_head(const struct wr_exchange_info *i)
{
  const struct wr_head *head = i->head;
  size_t hosts = 0;
  WR_CHECK(wr_headers_is_token(head->method) && head->host.len > 0);
  WR_CHECK(i->path.len > 0 && (i->path.ptr[0] == '/' || wr_str_eq(i->path, WR_STR("*"))));
  WR_CHECK(head->headers.count <= wr_parser_limits_default.fields_max + 1);
  for (size_t n = 0; n < head->headers.count; n++) {
    const struct wr_header *h = &head->headers.items[n];
    WR_CHECK(is_allowed(h));
    hosts += wr_str_eq_nocase(h->name, WR_STR("host"));
  }
  WR_CHECK(hosts == 1);
}

static void end(struct work *w, struct wr_exchange *x)
{
  if (!w->is_ended) wr_exchange_end(x);
  w->is_ended = true;
}

static void send_more(struct work *w, struct wr_exchange *x)
{
  static const char zeros[PIECE];
  while (w->left > 0) {
    size_t len = w->left < PIECE ? (size_t)w->left : PIECE;
    w->left -= len;
    if (!wr_exchange_write(x, (struct wr_str){zeros, len}) && w->left > 0) return;
  }
  end(w, x);
}

static void on_request(void *ctx, struct wr_exchange *x, void **slot)
{
  (void)ctx;
  const struct wr_exchange_info *i = wr_exchange_info(x);
  struct work *w = wr_region_take(i->region, sizeof(*w));
  WR_CHECK(w != NULL);
  *w = (struct work){0};
  *slot = w;
  live++;
  check_head(i);
  char first = i->path.len > 1 ? i->path.ptr[1] : '\0';
  if (wr_str_eq(i->head->method, WR_STR("POST"))) {
    wr_exchange_respond(x, 200, NULL, false, 0);
    wr_exchange_read(x);
  } else if (first == 'm') {
    w->left = MUCH;
    wr_exchange_respond(x, 200, NULL, true, MUCH);
    send_more(w, x);
  } else if (first != 'w') { // those wait for ever
    w->is_ended = true;
    wr_exchange_reply(x, 200, NULL, WR_STR("hello"));
  }
}

static bool on_body(void *slot, struct wr_exchange *x, struct wr_str data)
{
  (void)slot;
  return wr_exchange_write(x, data);
}

static void on_body_end(void *slot, struct wr_exchange *x)
{
  end(slot, x);
}

static void on_writable(void *slot, struct wr_exchange *x)
{
  struct work *w = slot;
  if (w->left > 0) {
    send_more(w, x);
  } else if (!w->is_ended) {
    wr_exchange_read(x);
  }
}

static void on_gone(void *slot, struct wr_exchange *x, const struct wr_error *error)
{
  WR_CHECK(error->kind != WR_ERROR_NONE);
  end(slot, x);
}

static void on_end(void *slot, struct wr_exchange *x)
{
  (void)x;
  struct work *w = slot;
  WR_CHECK(w->is_ended && live > 0);
  live--;
}

// The client

struct client {
  struct wr_io io;
  int fd;
  const char *bytes;
  size_t len, sent, step;
  bool is_closed;
};

static void on_closed(struct wr_io *io)
{
  WR_CONTAINER(io, struct client, io)->is_closed = true;
}

static void send_piece(struct client *c)
{
  size_t len = c->len - c->sent < c->step ? c->len - c->sent : c->step;
  ssize_t sent = send(c->fd, c->bytes + c->sent, len, MSG_NOSIGNAL);
  // A server that has had enough takes no more.
  c->sent = sent < 0 ? c->len : c->sent + (size_t)sent;
  if (c->sent < c->len) return;
  shutdown(c->fd, SHUT_WR);
  wr_io_want(&c->io, WR_IO_READ);
}

static void on_ready(struct wr_io *io, int events)
{
  static char scrap[64 * 1024];
  struct client *c = WR_CONTAINER(io, struct client, io);
  if (events & WR_IO_WRITE && c->sent < c->len) send_piece(c);
  if (!(events & WR_IO_READ)) return;
  ssize_t got = recv(c->fd, scrap, sizeof(scrap), MSG_DONTWAIT);
  if (got > 0 || (got < 0 && errno == EAGAIN)) return;
  wr_io_close(&c->io, on_closed);
  close(c->fd);
}

// After each turn: is all over?
static void on_turn(struct wr_loop *l, void *ctx)
{
  const struct client *c = ctx;
  if (c != NULL && c->is_closed && wr_server_stats(server)->open == 0) wr_loop_stop(l);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
  (void)argc;
  (void)argv;
  static const struct wr_http_hooks hooks = {.on_request = on_request,
                                             .on_body = on_body,
                                             .on_body_end = on_body_end,
                                             .on_writable = on_writable,
                                             .on_gone = on_gone,
                                             .on_end = on_end};
  struct wr_server_options options = wr_server_options_default;
  options.fin_is_gone = true;
  WR_CHECK(wr_loop_init(&loop) == 0);
  server = wr_server_new(&loop, &options, &hooks, NULL);
  // An abstract name of our own: the first byte is NUL.
  int len = snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "weir-fuzz-%d", getpid());
  address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  WR_CHECK(bind(fd, (struct sockaddr *)&address, address_len) == 0 && listen(fd, 16) == 0);
  WR_CHECK(wr_server_listen(server, fd, WR_STR("fuzz"), NULL) == 0);
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  static char bytes[64 * 1024];
  if (size == 0 || size > sizeof(bytes) - sizeof(preface)) return 0;
  size_t len = sizeof(preface) - 1;
  memcpy(bytes, preface, len);
  memcpy(bytes + len, data + 1, size - 1);
  struct client c = {.bytes = bytes, .len = len + size - 1};
  c.step = data[0] == 0 ? c.len : data[0];
  c.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  WR_CHECK(connect(c.fd, (struct sockaddr *)&address, address_len) == 0);
  WR_CHECK(wr_io_open(&c.io, &loop, c.fd, "client", on_ready) == 0);
  wr_io_want(&c.io, WR_IO_READ | WR_IO_WRITE);
  loop.on_turn = on_turn;
  loop.on_turn_ctx = &c;
  wr_loop_run(&loop);
  WR_CHECK(live == 0);
  return 0;
}
