#include "upstream/transport.h"

#include "base/alloc.h"
#include "base/check.h"

static void on_close(struct wr_deferred *d)
{
  struct wr_transport *tr = WR_CONTAINER(d, struct wr_transport, close);
  tr->ops->close(tr);
}

void wr_transport_init(struct wr_transport *tr, const struct wr_transport_ops *ops,
                       struct wr_loop *l)
{
  *tr = (struct wr_transport){.ops = ops, .loop = l};
  wr_deferred_init(&tr->close, on_close);
}

void wr_transport_close(struct wr_transport *tr, void (*on_closed)(void *ctx), void *ctx)
{
  WR_CHECK(!tr->is_closing);
  tr->is_closing = true;
  tr->on_closed = on_closed;
  tr->on_closed_ctx = ctx;
  wr_loop_defer(tr->loop, &tr->close);
}

void wr_transport_end(struct wr_transport *tr)
{
  void (*on_closed)(void *) = tr->on_closed;
  void *ctx = tr->on_closed_ctx;
  wr_free(tr);
  if (on_closed) on_closed(ctx);
}
