#include "upstream/dns.h"

#include "base/alloc.h"
#include "loop/io.h"
#include "loop/timer.h"

#include <ares.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>

enum { TIMEOUT_MS = 1000, TRIES = 3 };

// How long the second family may keep the first one waiting (RFC 8305 3).
static const uint64_t SECOND_FAMILY_NS = 50000000u;

struct wr_dns {
  struct wr_loop *loop;
  ares_channel channel;
  struct wr_timer timer;
  struct wr_list sockets; // struct dns_socket
  size_t closing;         // sockets whose close callback is still due
  bool is_closing;
  void (*on_closed)(void *ctx);
  void *on_closed_ctx;
};

struct dns_socket {
  struct wr_list link;
  struct wr_io io;
  struct wr_dns *dns;
};

// One name: two questions. Lives until c-ares has called back for both.
struct lookup {
  struct wr_dns *dns;
  wr_dns_cb cb; // NULL once told
  void *ctx;
  int pending;
  bool is_failed;
  const char *reason;
  uint32_t ttl_s;
  struct wr_dns_answer families[2]; // IPv4, IPv6
  struct wr_timer grace;
};

// Sockets and time-outs

static void rearm(struct wr_dns *d)
{
  struct timeval tv;
  if (ares_timeout(d->channel, NULL, &tv) == NULL) {
    wr_timer_stop(&d->timer);
    return;
  }
  wr_timer_start(&d->timer, (uint64_t)tv.tv_sec * 1000000000u + (uint64_t)tv.tv_usec * 1000u);
}

static void process(struct wr_dns *d, ares_socket_t readable, ares_socket_t writable)
{
  ares_process_fd(d->channel, readable, writable);
  rearm(d);
}

static void on_timer(struct wr_timer *t)
{
  process(WR_CONTAINER(t, struct wr_dns, timer), ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static void on_ready(struct wr_io *io, int events)
{
  struct dns_socket *s = WR_CONTAINER(io, struct dns_socket, io);
  // c-ares learns of an error by reading.
  bool readable = events & (WR_IO_READ | WR_IO_ERROR);
  process(s->dns, readable ? io->fd : ARES_SOCKET_BAD,
          events & WR_IO_WRITE ? io->fd : ARES_SOCKET_BAD);
}

static void finish_close(struct wr_dns *d)
{
  if (!d->is_closing || d->closing > 0) return;
  void (*on_closed)(void *) = d->on_closed;
  void *ctx = d->on_closed_ctx;
  wr_free(d);
  if (on_closed) on_closed(ctx);
}

static void on_socket_closed(struct wr_io *io)
{
  struct dns_socket *s = WR_CONTAINER(io, struct dns_socket, io);
  struct wr_dns *d = s->dns;
  wr_free(s);
  d->closing--;
  finish_close(d);
}

static struct dns_socket *find_socket(struct wr_dns *d, int fd)
{
  WR_LIST_EACH(&d->sockets, node) {
    struct dns_socket *s = WR_CONTAINER(node, struct dns_socket, link);
    if (s->io.fd == fd) return s;
  }
  return NULL;
}

static void open_socket(struct wr_dns *d, int fd, int wanted)
{
  struct dns_socket *s = wr_alloc(sizeof(*s));
  s->dns = d;
  if (wr_io_open(&s->io, d->loop, fd, "dns socket", on_ready) != 0) {
    wr_free(s); // nobody will hear the answer: the question times out
    return;
  }
  wr_list_push(&d->sockets, &s->link);
  wr_io_want(&s->io, wanted);
}

// c-ares tells this before it closes a descriptor.
static void on_socket_state(void *data, ares_socket_t fd, int readable, int writable)
{
  struct wr_dns *d = data;
  int wanted = (readable ? WR_IO_READ : 0) | (writable ? WR_IO_WRITE : 0);
  struct dns_socket *s = find_socket(d, fd);
  if (s == NULL) {
    if (wanted) open_socket(d, fd, wanted);
  } else if (wanted) {
    wr_io_want(&s->io, wanted);
  } else {
    wr_list_remove(&s->link);
    d->closing++;
    wr_io_close(&s->io, on_socket_closed);
  }
}

// Answers

static void append(struct wr_dns_answer *to, const struct wr_dns_answer *from)
{
  for (size_t i = 0; i < from->count && to->count < WR_DNS_ADDRESSES_MAX; i++) {
    to->items[to->count++] = from->items[i];
  }
}

static void tell(struct lookup *lu)
{
  wr_timer_stop(&lu->grace);
  if (lu->cb == NULL) return;
  struct wr_dns_result result = {.ttl_s = lu->ttl_s, .reason = lu->reason};
  append(&result.answer, &lu->families[0]);
  append(&result.answer, &lu->families[1]);
  if (result.answer.count > 0) {
    result.status = WR_DNS_FOUND;
  } else {
    result.status = lu->is_failed ? WR_DNS_FAILED : WR_DNS_NONE;
  }
  wr_dns_cb cb = lu->cb;
  lu->cb = NULL;
  cb(lu->ctx, &result);
}

static void on_grace(struct wr_timer *t)
{
  tell(WR_CONTAINER(t, struct lookup, grace));
}

// c-ares 1.18 ends with ECONNREFUSED also when every server said SERVFAIL or REFUSED.
static const char *reason_of(int status)
{
  switch (status) {
  case ARES_ENOTFOUND: return "no such name";
  case ARES_ENODATA: return "the name has no address";
  case ARES_ETIMEOUT: return "no name server answered in time";
  case ARES_ECONNREFUSED: return "the name servers failed or could not be reached";
  case ARES_EBADNAME: return "not a valid name";
  default: return "the name server's answer is unusable";
  }
}

static void add_address(struct lookup *lu, int family, const void *bytes, int ttl)
{
  struct wr_dns_answer *answer = &lu->families[family == AF_INET6];
  if (answer->count == WR_DNS_ADDRESSES_MAX) return;
  struct wr_dns_address *to = &answer->items[answer->count++];
  to->is_ipv6 = family == AF_INET6;
  inet_ntop(family, bytes, to->text, sizeof(to->text));
  uint32_t ttl_s = ttl > 0 ? (uint32_t)ttl : 0;
  if (ttl_s < lu->ttl_s) lu->ttl_s = ttl_s;
}

static int read_ipv4(struct lookup *lu, const unsigned char *reply, int len)
{
  struct ares_addrttl rows[WR_DNS_ADDRESSES_MAX];
  int count = WR_DNS_ADDRESSES_MAX;
  int status = ares_parse_a_reply(reply, len, NULL, rows, &count);
  for (int i = 0; status == ARES_SUCCESS && i < count; i++) {
    add_address(lu, AF_INET, &rows[i].ipaddr, rows[i].ttl);
  }
  return status;
}

static int read_ipv6(struct lookup *lu, const unsigned char *reply, int len)
{
  struct ares_addr6ttl rows[WR_DNS_ADDRESSES_MAX];
  int count = WR_DNS_ADDRESSES_MAX;
  int status = ares_parse_aaaa_reply(reply, len, NULL, rows, &count);
  for (int i = 0; status == ARES_SUCCESS && i < count; i++) {
    add_address(lu, AF_INET6, &rows[i].ip6addr, rows[i].ttl);
  }
  return status;
}

static void settle(struct lookup *lu, int status)
{
  bool is_none = status == ARES_ENODATA || status == ARES_ENOTFOUND;
  if (status != ARES_SUCCESS && !is_none) lu->is_failed = true;
  // "No such name" of one family says more than "no data" of the other; a failure outweighs both.
  if (status != ARES_SUCCESS && (lu->reason == NULL || status != ARES_ENODATA)) {
    lu->reason = reason_of(status);
  }
  if (--lu->pending == 0) {
    tell(lu);
    wr_free(lu);
  } else if (lu->families[0].count + lu->families[1].count > 0) {
    wr_timer_start(&lu->grace, SECOND_FAMILY_NS);
  }
}

static void drop(struct lookup *lu)
{
  wr_timer_stop(&lu->grace);
  if (--lu->pending == 0) wr_free(lu);
}

static void on_ipv4(void *arg, int status, int timeouts, unsigned char *reply, int len)
{
  (void)timeouts;
  if (status == ARES_EDESTRUCTION) {
    drop(arg);
  } else {
    settle(arg, status == ARES_SUCCESS ? read_ipv4(arg, reply, len) : status);
  }
}

static void on_ipv6(void *arg, int status, int timeouts, unsigned char *reply, int len)
{
  (void)timeouts;
  if (status == ARES_EDESTRUCTION) {
    drop(arg);
  } else {
    settle(arg, status == ARES_SUCCESS ? read_ipv6(arg, reply, len) : status);
  }
}

// Public

static int open_channel(struct wr_dns *d, const struct wr_dns_options *options)
{
  struct ares_options ao = {
      // The HOSTALIASES file would be opened for each name.
      .flags = ARES_FLAG_NOALIASES,
      .timeout = options->timeout_ns ? (int)(options->timeout_ns / 1000000u) : TIMEOUT_MS,
      .tries = options->tries ? options->tries : TRIES,
      .sock_state_cb = on_socket_state,
      .sock_state_cb_data = d,
  };
  int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
  // Named servers are asked for exactly the name given: no search domains of the machine.
  if (options->servers != NULL) mask |= ARES_OPT_DOMAINS;
  int rc = ares_init_options(&d->channel, &ao, mask);
  if (rc != ARES_SUCCESS || options->servers == NULL) return rc;
  rc = ares_set_servers_ports_csv(d->channel, options->servers);
  if (rc != ARES_SUCCESS) ares_destroy(d->channel);
  return rc;
}

struct wr_dns *wr_dns_open(struct wr_loop *l, const struct wr_dns_options *options,
                           struct wr_error *error)
{
  struct wr_dns *d = wr_alloc(sizeof(*d));
  d->loop = l;
  wr_list_init(&d->sockets);
  wr_timer_init(&d->timer, l, on_timer);
  int rc = open_channel(d, options);
  if (rc == ARES_SUCCESS) return d;
  wr_error_set(error, WR_ERROR_DNS, "name servers %s: %s",
               options->servers ? options->servers : "of resolv.conf", ares_strerror(rc));
  wr_free(d);
  return NULL;
}

void wr_dns_lookup(struct wr_dns *d, const char *name, wr_dns_cb cb, void *ctx)
{
  struct lookup *lu = wr_alloc(sizeof(*lu));
  *lu = (struct lookup){.dns = d, .cb = cb, .ctx = ctx, .pending = 2, .ttl_s = UINT32_MAX};
  wr_timer_init(&lu->grace, d->loop, on_grace);
  ares_search(d->channel, name, 1 /* IN */, 1 /* A */, on_ipv4, lu);
  ares_search(d->channel, name, 1 /* IN */, 28 /* AAAA */, on_ipv6, lu);
  rearm(d);
}

struct raw {
  wr_dns_raw_cb cb;
  void *ctx;
};

static void on_raw(void *arg, int status, int timeouts, unsigned char *reply, int len)
{
  struct raw raw = *(struct raw *)arg;
  (void)timeouts;
  wr_free(arg);
  bool ok = status == ARES_SUCCESS;
  raw.cb(raw.ctx, ok ? reply : NULL, ok ? (size_t)len : 0, ok ? NULL : reason_of(status));
}

void wr_dns_ask(struct wr_dns *d, const char *name, int type, wr_dns_raw_cb cb, void *ctx)
{
  struct raw *raw = wr_alloc(sizeof(*raw));
  *raw = (struct raw){cb, ctx};
  ares_search(d->channel, name, 1 /* IN */, type, on_raw, raw);
  rearm(d);
}

void wr_dns_close(struct wr_dns *d, void (*on_closed)(void *ctx), void *ctx)
{
  WR_CHECK(!d->is_closing);
  d->on_closed = on_closed;
  d->on_closed_ctx = ctx;
  wr_timer_stop(&d->timer);
  ares_destroy(d->channel);
  d->is_closing = true;
  finish_close(d);
}

bool wr_dns_numeric(struct wr_str text, struct wr_dns_address *out)
{
  if (text.len == 0 || text.len >= sizeof(out->text)) return false;
  struct wr_dns_address address = {0};
  memcpy(address.text, text.ptr, text.len);
  unsigned char bytes[16];
  address.is_ipv6 = inet_pton(AF_INET6, address.text, bytes) == 1;
  if (!address.is_ipv6 && inet_pton(AF_INET, address.text, bytes) != 1) return false;
  *out = address;
  return true;
}

const char *wr_dns_library_version(void)
{
  return ares_version(NULL);
}
