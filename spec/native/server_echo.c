// A server with scripted handlers, for specs that talk to it in raw bytes.
//
//   server_echo [OPTION VALUE]...
//
// Options: --head-timeout, --body-timeout, --send-timeout, --keep-alive-timeout (durations),
// --connections-max, --body-max, --files-max (numbers), --via, --server (names); without a value
// --admin and --quiet.
//
// Prints "port N"; then, unless quiet, a line per event of an exchange. SIGTERM drains, SIGUSR1
// breaks off, SIGUSR2 stops listening. At the end prints "drained", checks that nothing is open,
// exits 0.
//
// The layer above is under test too: hooks check that none is called from inside a function of
// exchange.h, that heads stay as they were, and that nothing follows on_end.

#include "base/alloc.h"
#include "base/duration.h"
#include "base/hash.h"
#include "http/server.h"
#include "loop/io.h"
#include "loop/timer.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIECE = 16 * 1024 };

struct program {
  struct wr_loop loop;
  struct wr_server *server;
  struct wr_io signals;
  struct wr_list held;
  bool is_quiet;
  bool is_inside; // a function of exchange.h is running
};

struct work {
  struct program *program;
  struct wr_exchange *x;
  const struct script *script;
  struct wr_list link; // in program.held
  struct wr_timer timer;
  uint64_t left;
  uint64_t seen;
  uint64_t fingerprint;
  bool is_over;
};

struct script {
  const char *path;
  void (*on_start)(struct work *w);
  bool (*on_body)(struct work *w, struct wr_str data);
  void (*on_body_end)(struct work *w);
  void (*on_writable)(struct work *w);
  void (*on_timer)(struct work *w);
};

// Calls into the server, marked so that a hook called from inside is noticed.

#define INSIDE(w, call)                                                                            \
  do {                                                                                             \
    (w)->program->is_inside = true;                                                                \
    call;                                                                                          \
    (w)->program->is_inside = false;                                                               \
  } while (0)

static void reply(struct work *w, int status, struct wr_str body)
{
  struct wr_headers headers;
  wr_headers_init(&headers, wr_exchange_info(w->x)->region, 1);
  WR_CHECK(wr_headers_add(&headers, WR_STR("Content-Type"), WR_STR("text/plain")));
  INSIDE(w, wr_exchange_reply(w->x, status, &headers, body));
}

static void respond(struct work *w, int status, bool has_length, uint64_t length)
{
  INSIDE(w, wr_exchange_respond(w->x, status, NULL, has_length, length));
}

static bool put(struct work *w, struct wr_str data)
{
  bool go_on = false;
  INSIDE(w, go_on = wr_exchange_write(w->x, data));
  return go_on;
}

static void more(struct work *w)
{
  INSIDE(w, wr_exchange_read(w->x));
}

static void end(struct work *w)
{
  INSIDE(w, wr_exchange_end(w->x));
}

static uint64_t query_number(const struct work *w, const char *name, uint64_t otherwise)
{
  struct wr_str rest = wr_exchange_info(w->x)->head->query;
  while (rest.ptr != NULL) {
    struct wr_str value = wr_str_split(&rest, '&');
    struct wr_str key = wr_str_split(&value, '=');
    if (wr_str_eq(key, wr_str_of(name)) && value.ptr != NULL) return strtoull(value.ptr, NULL, 10);
  }
  return otherwise;
}

// Small answers

static void hello(struct work *w)
{
  reply(w, 200, WR_STR("hello"));
}

static void status(struct work *w)
{
  reply(w, (int)query_number(w, "code", 200), WR_STR("body"));
}

static void info(struct work *w)
{
  const struct wr_exchange_info *i = wr_exchange_info(w->x);
  char text[2048];
  int len = snprintf(text, sizeof(text),
                     "path=%.*s\nhost=%.*s\nclient=%.*s\nport=%u\nscheme=%.*s\n"
                     "id=%.*s\n",
                     WR_STR_ARG(i->path), WR_STR_ARG(i->head->host), WR_STR_ARG(i->client),
                     i->client_port, WR_STR_ARG(i->scheme), WR_STR_ARG(i->request_id));
  reply(w, 200, (struct wr_str){text, (size_t)len});
}

static void counters(struct work *w)
{
  const struct wr_server_stats *s = wr_server_stats(w->program->server);
  char text[512];
  int len =
      snprintf(text, sizeof(text),
               "accepted=%lu open=%lu active=%lu requests=%lu bad_requests=%lu "
               "head_timeouts=%lu body_timeouts=%lu send_timeouts=%lu accept_paused=%lu "
               "workspaces=%lu spare_bytes=%lu\n",
               s->accepted, s->open, s->active, s->requests, s->bad_requests, s->head_timeouts,
               s->body_timeouts, s->send_timeouts, s->accept_paused, s->workspaces, s->spare_bytes);
  reply(w, 200, (struct wr_str){text, (size_t)len});
}

static void floods(struct work *w)
{
  const struct wr_server_stats *s = wr_server_stats(w->program->server);
  char text[1024];
  size_t len = 0;
  for (int i = 0; i < WR_H2_STRAIN_KINDS; i++) {
    len += (size_t)snprintf(text + len, sizeof(text) - len, "%s=%lu ",
                            wr_h2_strain_name((enum wr_h2_strain_kind)i), s->h2_floods[i]);
  }
  reply(w, 200, (struct wr_str){text, len});
}

// Fields that must not leave as they are, among some that must.
static void fields(struct work *w)
{
  struct wr_headers h;
  wr_headers_init(&h, wr_exchange_info(w->x)->region, 32);
  static const struct {
    struct wr_str name, value;
  } all[] = {
      {WR_STR("X-Good"), WR_STR("kept")},
      {WR_STR("x-good"), WR_STR("kept twice")},
      {WR_STR("X-Split"), WR_STR("a\r\nSet-Cookie: stolen=1")},
      {WR_STR("X-Newline"), WR_STR("a\nb")},
      {WR_STR("X-Nul"), WR_STR("a\0b")},
      {WR_STR("X-Bad Name"), WR_STR("a")},
      {WR_STR("X-Colon:"), WR_STR("a")},
      {WR_STR(""), WR_STR("no name")},
      {WR_STR("Content-Length"), WR_STR("1")},
      {WR_STR("Transfer-Encoding"), WR_STR("gzip")},
      {WR_STR("Connection"), WR_STR("upgrade")},
      {WR_STR("Keep-Alive"), WR_STR("timeout=5")},
      {WR_STR("Upgrade"), WR_STR("h2c")},
      {WR_STR("X-Request-ID"), WR_STR("from-above")},
      {WR_STR("Date"), WR_STR("Mon, 01 Jan 2001 00:00:00 GMT")},
      {WR_STR("Server"), WR_STR("above/1")},
      {WR_STR("Via"), WR_STR("1.1 origin")},
  };
  for (size_t i = 0; i < WR_COUNT(all); i++) {
    WR_CHECK(wr_headers_add(&h, all[i].name, all[i].value));
  }
  INSIDE(w, wr_exchange_reply(w->x, 200, &h, WR_STR("fields")));
}

// Streams

static void echo(struct work *w)
{
  const struct wr_head *head = wr_exchange_info(w->x)->head;
  // Wanting the body first keeps the connection: a large body that nobody wants is announced to end
  // it.
  more(w);
  respond(w, 200, head->has_content_length, head->content_length);
}

static void echo_read_first(struct work *w)
{
  more(w);
}

static bool echo_body(struct work *w, struct wr_str data)
{
  if (!wr_exchange_is_responded(w->x)) {
    const struct wr_head *head = wr_exchange_info(w->x)->head;
    respond(w, 200, head->has_content_length, head->content_length);
  }
  return put(w, data);
}

static void echo_end(struct work *w)
{
  if (!wr_exchange_is_responded(w->x)) respond(w, 200, false, 0);
  end(w);
}

static void big_more(struct work *w)
{
  static const char zeros[PIECE];
  while (w->left > 0) {
    size_t len = w->left < PIECE ? (size_t)w->left : PIECE;
    w->left -= len;
    if (!put(w, (struct wr_str){zeros, len}) && w->left > 0) return;
  }
  end(w);
}

static void big(struct work *w)
{
  w->left = query_number(w, "bytes", 1 << 20);
  respond(w, 200, query_number(w, "length", 0) != 0, w->left);
  big_more(w);
}

static void one_piece(struct work *w)
{
  size_t len = (size_t)query_number(w, "bytes", 1 << 20);
  char *bytes = wr_alloc(len);
  memset(bytes, 'p', len);
  reply(w, 200, (struct wr_str){bytes, len});
  wr_free(bytes);
}

static void chunks(struct work *w)
{
  respond(w, 200, false, 0);
  put(w, WR_STR("one"));
  put(w, WR_STR(""));
  put(w, WR_STR("three"));
  end(w);
}

// Reads a piece, rests, reads on.
static bool slow_body(struct work *w, struct wr_str data)
{
  w->seen += data.len;
  wr_timer_start(&w->timer, query_number(w, "rest", 1) * WR_MS);
  return false;
}

static bool count_body(struct work *w, struct wr_str data)
{
  w->seen += data.len;
  return true;
}

static void count_end(struct work *w)
{
  char text[32];
  int len = snprintf(text, sizeof(text), "%lu", w->seen);
  reply(w, 200, (struct wr_str){text, (size_t)len});
}

// Answers that come later, or not at all

static void hold(struct work *w)
{
  wr_list_push(&w->program->held, &w->link);
}

static void hold_reading(struct work *w)
{
  hold(w);
  more(w);
}

static void release(struct work *w)
{
  struct wr_list *node;
  int count = 0;
  while ((node = wr_list_pop(&w->program->held)) != NULL) {
    struct work *held = WR_CONTAINER(node, struct work, link);
    held->script->on_timer(held);
    count++;
  }
  char text[32];
  int len = snprintf(text, sizeof(text), "%d", count);
  reply(w, 200, (struct wr_str){text, (size_t)len});
}

static void late(struct work *w)
{
  wr_timer_start(&w->timer, query_number(w, "ms", 5) * WR_MS);
}

static void short_of_promise(struct work *w)
{
  respond(w, 200, true, 10);
  put(w, WR_STR("four"));
  end(w);
}

static void more_than_promise(struct work *w)
{
  respond(w, 200, true, 4);
  put(w, WR_STR("four and more"));
  end(w);
}

static void break_off(struct work *w)
{
  INSIDE(w, wr_exchange_abort(w->x));
}

static void break_off_later(struct work *w)
{
  respond(w, 200, query_number(w, "length", 0) != 0, 100);
  put(w, WR_STR("begun"));
  late(w);
}

static void server_abort(struct work *w)
{
  wr_server_abort(w->program->server);
}

static const struct script scripts[] = {
    {"/hello", hello, NULL, NULL, NULL, NULL},
    {"/status", status, NULL, NULL, NULL, NULL},
    {"/info", info, NULL, NULL, NULL, NULL},
    {"/floods", floods, NULL, NULL, NULL, NULL},
    {"/stats", counters, NULL, NULL, NULL, NULL},
    {"/fields", fields, NULL, NULL, NULL, NULL},
    {"/echo", echo, echo_body, echo_end, more, NULL},
    {"/echo-read-first", echo_read_first, echo_body, echo_end, more, NULL},
    {"/big", big, NULL, NULL, big_more, NULL},
    {"/piece", one_piece, NULL, NULL, NULL, NULL},
    {"/chunks", chunks, NULL, NULL, NULL, NULL},
    {"/slow-read", more, slow_body, count_end, NULL, more},
    {"/count", more, count_body, count_end, NULL, NULL},
    {"/hold", hold, NULL, NULL, NULL, hello},
    {"/hold-reading", hold_reading, count_body, NULL, NULL, hello},
    {"/read-on-release", hold, count_body, count_end, NULL, more},
    {"/release", release, NULL, NULL, NULL, NULL},
    {"/late", late, NULL, NULL, NULL, hello},
    {"/ignore-body", hello, NULL, NULL, NULL, NULL},
    {"/short", short_of_promise, NULL, NULL, NULL, NULL},
    {"/excess", more_than_promise, NULL, NULL, NULL, NULL},
    {"/abort", break_off, NULL, NULL, NULL, NULL},
    {"/abort-late", break_off_later, NULL, NULL, NULL, break_off},
    {"/end-unanswered", end, NULL, NULL, NULL, NULL},
    {"/server-abort", server_abort, NULL, NULL, NULL, NULL},
};

// Hooks

static uint64_t fingerprint(const struct wr_exchange *x)
{
  const struct wr_exchange_info *i = wr_exchange_info(x);
  uint64_t sum = wr_hash_fnv(wr_hash_fnv(0, i->head->target), i->path);
  for (size_t n = 0; n < i->head->headers.count; n++) {
    const struct wr_header *h = &i->head->headers.items[n];
    sum = wr_hash_fnv(wr_hash_fnv(sum, h->name), h->value);
  }
  return sum;
}

static struct work *enter(void *slot)
{
  struct work *w = slot;
  WR_CHECK(!w->is_over && !w->program->is_inside);
  return w;
}

static void on_timer(struct wr_timer *t)
{
  struct work *w = WR_CONTAINER(t, struct work, timer);
  w->script->on_timer(w);
}

static void on_request(void *ctx, struct wr_exchange *x, void **slot)
{
  struct program *p = ctx;
  WR_CHECK(!p->is_inside);
  struct work *w = wr_region_take(wr_exchange_info(x)->region, sizeof(*w));
  WR_CHECK(w != NULL);
  *w = (struct work){.program = p, .x = x, .fingerprint = fingerprint(x)};
  wr_list_init(&w->link);
  wr_timer_init(&w->timer, &p->loop, on_timer);
  *slot = w;
  for (size_t i = 0; i < WR_COUNT(scripts); i++) {
    if (!wr_str_eq(wr_exchange_info(x)->path, wr_str_of(scripts[i].path))) continue;
    w->script = &scripts[i];
    w->script->on_start(w);
    return;
  }
  reply(w, 404, WR_STR("no such script"));
}

static bool on_body(void *slot, struct wr_exchange *x, struct wr_str data)
{
  struct work *w = enter(slot);
  WR_CHECK(w->x == x && data.len > 0);
  return w->script->on_body(w, data);
}

static void on_body_end(void *slot, struct wr_exchange *x)
{
  struct work *w = enter(slot);
  WR_CHECK(w->x == x);
  if (!w->program->is_quiet) printf("body_end %s\n", w->script->path);
  if (w->script->on_body_end) w->script->on_body_end(w);
}

static void on_writable(void *slot, struct wr_exchange *x)
{
  struct work *w = enter(slot);
  WR_CHECK(w->x == x && w->script->on_writable);
  w->script->on_writable(w);
}

static void on_gone(void *slot, struct wr_exchange *x, const struct wr_error *error)
{
  struct work *w = enter(slot);
  printf("gone %s %s: %s\n", w->script->path, wr_error_name(error->kind), error->message);
  wr_list_remove(&w->link);
  wr_timer_stop(&w->timer);
  INSIDE(w, wr_exchange_end(x));
}

static void on_end(void *slot, struct wr_exchange *x)
{
  struct work *w = enter(slot);
  const struct wr_exchange_stats *s = wr_exchange_stats(x);
  WR_CHECK(w->fingerprint == fingerprint(x));
  w->is_over = true;
  wr_list_remove(&w->link);
  wr_timer_stop(&w->timer);
  if (w->program->is_quiet) return;
  printf("end %s status=%d received=%lu sent=%lu complete=%d\n", w->script ? w->script->path : "?",
         s->status, s->received_bytes, s->sent_bytes, s->is_complete);
}

static const struct wr_http_hooks hooks = {
    .on_request = on_request,
    .on_body = on_body,
    .on_body_end = on_body_end,
    .on_writable = on_writable,
    .on_gone = on_gone,
    .on_end = on_end,
};

// The program

static void on_drained(void *ctx)
{
  struct program *p = ctx;
  printf("drained\n");
  wr_server_free(p->server);
  p->server = NULL;
  int fd = p->signals.fd;
  wr_io_close(&p->signals, NULL);
  close(fd);
}

static void on_signal(struct wr_io *io, int events)
{
  (void)events;
  struct program *p = WR_CONTAINER(io, struct program, signals);
  struct signalfd_siginfo signal;
  if (read(io->fd, &signal, sizeof(signal)) != sizeof(signal)) return;
  if (signal.ssi_signo == SIGTERM) wr_server_drain(p->server, on_drained, p);
  if (signal.ssi_signo == SIGUSR1) wr_server_abort(p->server);
  if (signal.ssi_signo == SIGUSR2) wr_server_unlisten(p->server, WR_STR("main"));
}

static void watch_signals(struct program *p)
{
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGUSR1);
  sigaddset(&set, SIGUSR2);
  WR_CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
  int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  WR_CHECK(wr_io_open(&p->signals, &p->loop, fd, "signals", on_signal) == 0);
  wr_io_want(&p->signals, WR_IO_READ);
}

static int listen_on_loopback(uint16_t *port)
{
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof(address);
  WR_CHECK(bind(fd, (struct sockaddr *)&address, len) == 0);
  WR_CHECK(listen(fd, 512) == 0);
  WR_CHECK(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
  *port = ntohs(address.sin_port);
  return fd;
}

static void limit_files(const char *count)
{
  rlim_t max = strtoul(count, NULL, 10);
  struct rlimit limit = {.rlim_cur = max, .rlim_max = max};
  WR_CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

// Takes one option off `argv`; returns how many words it was.
static int take_option(char **argv, struct wr_server_options *o, struct program *p)
{
  struct {
    const char *name;
    uint64_t *ns;
  } times[] = {
      {"--head-timeout", &o->head_timeout_ns},
      {"--body-timeout", &o->body_timeout_ns},
      {"--send-timeout", &o->send_timeout_ns},
      {"--keep-alive-timeout", &o->keep_alive_timeout_ns},
  };
  if (strcmp(argv[0], "--quiet") == 0) return p->is_quiet = true;
  if (strcmp(argv[0], "--admin") == 0) return o->is_admin = true;
  if (strcmp(argv[0], "--fin-is-gone") == 0) return o->fin_is_gone = true;
  WR_CHECK(argv[1] != NULL);
  for (size_t i = 0; i < WR_COUNT(times); i++) {
    if (strcmp(argv[0], times[i].name) != 0) continue;
    WR_CHECK(wr_duration_parse(wr_str_of(argv[1]), times[i].ns));
    return 2;
  }
  if (strcmp(argv[0], "--connections-max") == 0)
    o->connections_max = strtoul(argv[1], NULL, 10);
  else if (strcmp(argv[0], "--body-max") == 0)
    o->body_max = strtoul(argv[1], NULL, 10);
  else if (strcmp(argv[0], "--files-max") == 0)
    limit_files(argv[1]);
  else if (strcmp(argv[0], "--via") == 0)
    o->via = argv[1];
  else if (strcmp(argv[0], "--server") == 0)
    o->server_name = argv[1];
  else
    WR_UNREACHABLE("unknown option");
  return 2;
}

int main(int argc, char **argv)
{
  struct program p = {0};
  struct wr_server_options options = wr_server_options_default;
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (int i = 1; i < argc;) i += take_option(argv + i, &options, &p);
  wr_list_init(&p.held);
  WR_CHECK(wr_loop_init(&p.loop) == 0);
  watch_signals(&p);
  p.server = wr_server_new(&p.loop, &options, &hooks, &p);
  uint16_t port = 0;
  WR_CHECK(wr_server_listen(p.server, listen_on_loopback(&port), WR_STR("main"), NULL) == 0);
  printf("port %u\n", port);
  wr_loop_run(&p.loop);
  WR_CHECK(p.server == NULL);
  char report[256];
  size_t open = wr_loop_fini(&p.loop, report, sizeof(report));
  if (open != 0) fprintf(stderr, "left open: %s\n", report);
  return open == 0 ? 0 : 1;
}
