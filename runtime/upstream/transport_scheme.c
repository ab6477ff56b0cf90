#include "upstream/transport_scheme.h"

#include "base/alloc.h"
#include "base/check.h"

struct scheme {
  struct wr_transport base;
  struct wr_transport *h1;
  struct wr_transport *h2;
  struct wr_transport *secure;
  int open; // of the three
};

static struct scheme *scheme_of(struct wr_transport *tr)
{
  return WR_CONTAINER(tr, struct scheme, base);
}

static struct wr_transfer *start(struct wr_transport *transport,
                                 const struct wr_transfer_request *rq)
{
  struct scheme *s = scheme_of(transport);
  if (rq->http == WR_TRANSFER_HTTP_2) return wr_transfer_start(s->h2, rq);
  bool is_native = !rq->is_https || rq->upgrade.len > 0;
  return wr_transfer_start(is_native ? s->h1 : s->secure, rq);
}

static void rest_all(struct wr_transport *transport)
{
  struct scheme *s = scheme_of(transport);
  wr_transport_rest(s->h1);
  wr_transport_rest(s->h2);
  wr_transport_rest(s->secure);
}

static void count_all(struct wr_transport *transport, struct wr_transport_connections *out)
{
  struct scheme *s = scheme_of(transport);
  wr_transport_count(s->h1, out);
  wr_transport_count(s->h2, out);
  wr_transport_count(s->secure, out);
}

static void on_closed(void *ctx)
{
  struct scheme *s = ctx;
  if (--s->open == 0) wr_transport_end(&s->base);
}

static void close_all(struct wr_transport *transport)
{
  struct scheme *s = scheme_of(transport);
  wr_transport_close(s->h1, on_closed, s);
  wr_transport_close(s->h2, on_closed, s);
  wr_transport_close(s->secure, on_closed, s);
}

static const struct wr_transport_ops ops = {
    .name = "scheme", .start = start, .rest = rest_all, .count = count_all, .close = close_all};

struct wr_transport *wr_transport_scheme_new(struct wr_transport *h1, struct wr_transport *h2,
                                             struct wr_transport *secure)
{
  struct scheme *s = wr_alloc(sizeof(*s));
  wr_transport_init(&s->base, &ops, h1->loop);
  s->open = 3;
  s->h1 = h1;
  s->h2 = h2;
  s->secure = secure;
  return &s->base;
}
