#include "upstream/transport_h1.h"

#include "base/alloc.h"
#include "base/duration.h"
#include "upstream/h1_send.h"
#include "upstream/outbound_tls.h"
#include "upstream/transfer.h"

#define IDLE_DEFAULT_NS (4 * WR_SECOND)

enum { REGION_MAX = 64 * 1024 };

static struct wr_h1_transport *transport_of(struct wr_transport *tr)
{
  return WR_CONTAINER(tr, struct wr_h1_transport, base);
}

static struct wr_h1_transfer *transfer_of(const struct wr_transfer *t)
{
  return WR_CONTAINER(t, struct wr_h1_transfer, base);
}

// Transfers

static const char *check_tls(const struct wr_h1_transport *tr, const struct wr_transfer_request *rq)
{
  char name[WR_OUTBOUND_TLS_NAME];
  if (tr->options.tls == NULL) return "this transport speaks no TLS";
  return wr_outbound_tls_name(rq, name) ? NULL : "the authority has no host that TLS could verify";
}

static const char *check(const struct wr_h1_transport *tr, const struct wr_transfer_request *rq)
{
  if (tr->base.is_closing) return "the transport is closing";
  if (rq->http == WR_TRANSFER_HTTP_2) return "this transport speaks no HTTP/2";
  if (rq->host.len == 0 || rq->host.len > WR_DNS_NAME_MAX) return "the host is empty or too long";
  if (rq->upgrade.len >= WR_H1_UPGRADE_SIZE) return "the protocol's name is too long";
  const char *refused = wr_transfer_check(rq);
  return refused == NULL && rq->is_https ? check_tls(tr, rq) : refused;
}

static struct wr_transfer *start(struct wr_transport *transport,
                                 const struct wr_transfer_request *rq)
{
  struct wr_h1_transport *tr = transport_of(transport);
  struct wr_h1_transfer *t = wr_h1_transfer_new(tr, rq);
  const char *refused = check(tr, rq);
  if (refused != NULL) {
    wr_h1_transfer_fail_later(t, WR_ERROR_INVALID, refused);
    return &t->base;
  }
  t->pool = wr_h1_pool_of(tr, rq);
  t->pool->transfers++;
  wr_h1_send_head(t, rq);
  if (t->failure.kind == WR_ERROR_NONE) wr_h1_transfer_acquire(t);
  wr_h1_transfer_settle(t);
  return &t->base;
}

static bool write_body(struct wr_transfer *transfer, struct wr_str data)
{
  struct wr_h1_transfer *t = transfer_of(transfer);
  return t->is_ended || wr_h1_send_piece(t, data);
}

static void write_end(struct wr_transfer *transfer)
{
  struct wr_h1_transfer *t = transfer_of(transfer);
  if (!t->is_ended) wr_h1_send_end(t);
}

static void resume(struct wr_transfer *transfer)
{
  struct wr_h1_transfer *t = transfer_of(transfer);
  if (t->is_ended || !t->is_paused) return;
  t->is_paused = false;
  t->phase_ns = wr_loop_now(t->tr->base.loop);
  wr_loop_defer(t->tr->base.loop, &t->work);
}

static void cancel(struct wr_transfer *transfer)
{
  struct wr_h1_transfer *t = transfer_of(transfer);
  if (!t->is_ended) wr_h1_transfer_cancel(t);
}

static const struct wr_transfer_stats *stats(const struct wr_transfer *transfer)
{
  return &transfer_of(transfer)->stats;
}

// Life of the transport

static void on_sweep(struct wr_timer *timer)
{
  wr_h1_pool_sweep(WR_CONTAINER(timer, struct wr_h1_transport, sweep), false);
}

static void free_transport(struct wr_h1_transport *tr)
{
  wr_map_fini(&tr->pools);
  wr_region_fini(&tr->region);
  wr_free(tr->scratch);
  wr_transport_end(&tr->base);
}

void wr_h1_transport_check_closed(struct wr_h1_transport *tr)
{
  if (tr->is_swept && tr->connections == 0) free_transport(tr);
}

static void rest(struct wr_transport *transport)
{
  struct wr_h1_transport *tr = transport_of(transport);
  tr->is_resting = true;
  wr_timer_stop(&tr->sweep);
  wr_h1_pool_sweep(tr, true);
}

static void count(struct wr_transport *transport, struct wr_transport_connections *out)
{
  struct wr_h1_transport *tr = transport_of(transport);
  struct wr_h1_pool *pool;
  size_t at = 0;
  while ((pool = wr_map_next(&tr->pools, &at, NULL)) != NULL) {
    out->active += pool->open - pool->idle_count;
    out->idle += pool->idle_count;
  }
}

static void close_transport(struct wr_transport *transport)
{
  struct wr_h1_transport *tr = transport_of(transport);
  struct wr_list *node;
  WR_LIST_EACH(&tr->live, live) cancel(&WR_CONTAINER(live, struct wr_h1_transfer, link)->base);
  while ((node = wr_list_pop(&tr->spare)) != NULL) {
    wr_h1_transfer_free(WR_CONTAINER(node, struct wr_h1_transfer, link));
  }
  rest(&tr->base);
  tr->is_swept = true;
  wr_h1_transport_check_closed(tr);
}

static const struct wr_transport_ops ops = {
    .name = "h1",
    .start = start,
    .write = write_body,
    .write_end = write_end,
    .resume = resume,
    .cancel = cancel,
    .stats = stats,
    .rest = rest,
    .count = count,
    .close = close_transport,
};

struct wr_transport *wr_transport_h1_new(struct wr_loop *l, struct wr_resolver *resolver,
                                         const struct wr_transport_h1_options *options)
{
  struct wr_h1_transport *tr = wr_alloc(sizeof(*tr));
  wr_transport_init(&tr->base, &ops, l);
  tr->resolver = resolver;
  if (options) tr->options = *options;
  if (tr->options.idle_ns == 0) tr->options.idle_ns = IDLE_DEFAULT_NS;
  wr_map_init(&tr->pools, (struct wr_hash_key){wr_loop_entropy(), wr_loop_entropy()});
  wr_list_init(&tr->live);
  wr_list_init(&tr->spare);
  wr_region_init(&tr->region, REGION_MAX);
  wr_timer_init(&tr->sweep, l, on_sweep);
  tr->scratch = wr_alloc(WR_H1_READ_SIZE + WR_CHANNEL_SLACK);
  return &tr->base;
}
