#include "upstream/transport_scheme.h"

#include "base/alloc.h"
#include "base/check.h"

struct scheme {
  struct wr_transport base;
  struct wr_transport *plain;
  struct wr_transport *secure;
  void (*on_closed)(void *ctx);
  void *on_closed_ctx;
};

static struct scheme *scheme_of(struct wr_transport *tr)
{
  return WR_CONTAINER(tr, struct scheme, base);
}

static struct wr_transfer *start(struct wr_transport *transport,
                                 const struct wr_transfer_request *rq)
{
  struct scheme *s = scheme_of(transport);
  return wr_transfer_start(rq->is_https ? s->secure : s->plain, rq);
}

static void on_secure_closed(void *ctx)
{
  struct scheme *s = ctx;
  void (*on_closed)(void *) = s->on_closed;
  void *on_closed_ctx = s->on_closed_ctx;
  wr_free(s);
  if (on_closed) on_closed(on_closed_ctx);
}

static void on_plain_closed(void *ctx)
{
  struct scheme *s = ctx;
  s->secure->ops->close(s->secure, on_secure_closed, s);
}

static void close_both(struct wr_transport *transport, void (*on_closed)(void *ctx), void *ctx)
{
  struct scheme *s = scheme_of(transport);
  s->on_closed = on_closed;
  s->on_closed_ctx = ctx;
  s->plain->ops->close(s->plain, on_plain_closed, s);
}

static const struct wr_transport_ops ops = {.name = "scheme", .start = start, .close = close_both};

struct wr_transport *wr_transport_scheme_new(struct wr_transport *plain,
                                             struct wr_transport *secure)
{
  struct scheme *s = wr_alloc(sizeof(*s));
  s->base.ops = &ops;
  s->plain = plain;
  s->secure = secure;
  return &s->base;
}
