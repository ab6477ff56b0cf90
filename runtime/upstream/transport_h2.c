#include "upstream/transport_h2.h"

#include "base/alloc.h"
#include "upstream/h2_call.h"
#include "upstream/transfer.h"

static struct wr_h2_transport *transport_of(struct wr_transport *tr)
{
  return WR_CONTAINER(tr, struct wr_h2_transport, base);
}

static struct wr_h2_call *call_of(const struct wr_transfer *t)
{
  return WR_CONTAINER(t, struct wr_h2_call, base);
}

// Transfers

static const char *check(const struct wr_h2_transport *tr, const struct wr_transfer_request *rq)
{
  if (tr->base.is_closing) return "the transport is closing";
  if (rq->is_https && tr->options.tls == NULL) return "this transport speaks no TLS";
  if (rq->upgrade.len > 0) return "tunnels go over HTTP/1.1";
  if (rq->host.len == 0 || rq->host.len > WR_DNS_NAME_MAX) return "the host is empty or too long";
  return wr_transfer_check(rq);
}

static struct wr_transfer *start(struct wr_transport *transport,
                                 const struct wr_transfer_request *rq)
{
  struct wr_h2_transport *tr = transport_of(transport);
  struct wr_h2_call *c = wr_h2_call_new(tr, rq);
  const char *refused = check(tr, rq);
  if (refused == NULL && rq->is_https && !wr_h2_call_secure(c, rq)) {
    refused = "the authority has no host that TLS could verify";
  }
  if (refused == NULL && !wr_h2_call_write_head(c, rq)) refused = "the head is too large";
  if (refused == NULL) {
    wr_h2_call_begin(c);
  } else {
    wr_h2_call_fail_later(c, WR_ERROR_INVALID, refused);
  }
  return &c->base;
}

// More of the body, or its end, has come.
static void go_on(struct wr_h2_call *c)
{
  if (c->link == NULL || c->id == 0) return;
  if (c->is_deferred && !c->is_closed) {
    c->is_deferred = false;
    nghttp2_session_resume_data(c->link->session, c->id);
  }
  wr_h2_link_poke(c->link);
}

static bool write_body(struct wr_transfer *transfer, struct wr_str data)
{
  struct wr_h2_call *c = call_of(transfer);
  const char *reason;
  if (c->is_ended) return true;
  if (!wr_upload_write(&c->upload, data, &reason)) {
    wr_h2_call_fail_later(c, WR_ERROR_INVALID, reason);
  }
  go_on(c);
  return !c->upload.is_full;
}

static void write_end(struct wr_transfer *transfer)
{
  struct wr_h2_call *c = call_of(transfer);
  const char *reason;
  if (c->is_ended || c->upload.is_ended) return;
  if (!wr_upload_end(&c->upload, &reason)) wr_h2_call_fail_later(c, WR_ERROR_INVALID, reason);
  go_on(c);
}

static void resume(struct wr_transfer *transfer)
{
  struct wr_h2_call *c = call_of(transfer);
  if (c->is_ended || !c->is_paused) return;
  c->is_paused = false;
  wr_h2_call_set_phase(c, c->phase);
  wr_h2_call_wake(c);
}

static void cancel(struct wr_transfer *transfer)
{
  struct wr_h2_call *c = call_of(transfer);
  if (!c->is_ended) wr_h2_call_cancel(c);
}

static const struct wr_transfer_stats *stats(const struct wr_transfer *transfer)
{
  return &call_of(transfer)->stats;
}

// Life of the transport

void wr_h2_transport_check_closed(struct wr_h2_transport *tr)
{
  if (!tr->is_swept || tr->sockets > 0) return;
  wr_free(tr->scratch);
  wr_transport_end(&tr->base);
}

static void rest(struct wr_transport *transport)
{
  struct wr_h2_transport *tr = transport_of(transport);
  tr->is_resting = true;
  WR_LIST_EACH(&tr->links, node) wr_h2_link_poke(WR_CONTAINER(node, struct wr_h2_link, link));
}

static void count(struct wr_transport *transport, struct wr_transport_connections *out)
{
  WR_LIST_EACH(&transport_of(transport)->links, node) {
    const struct wr_h2_link *link = WR_CONTAINER(node, struct wr_h2_link, link);
    bool is_active = link->count > 0 || link->session == NULL;
    out->active += is_active;
    out->idle += !is_active;
  }
}

static void close_transport(struct wr_transport *transport)
{
  struct wr_h2_transport *tr = transport_of(transport);
  WR_LIST_EACH(&tr->live, node) cancel(&WR_CONTAINER(node, struct wr_h2_call, live)->base);
  WR_LIST_EACH(&tr->links, node) wr_h2_link_close(WR_CONTAINER(node, struct wr_h2_link, link));
  tr->is_swept = true;
  wr_h2_transport_check_closed(tr);
}

static const struct wr_transport_ops ops = {
    .name = "h2",
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

struct wr_transport *wr_transport_h2_new(struct wr_loop *l, struct wr_resolver *resolver,
                                         const struct wr_transport_h2_options *options)
{
  struct wr_h2_transport *tr = wr_alloc(sizeof(*tr));
  wr_transport_init(&tr->base, &ops, l);
  tr->resolver = resolver;
  if (options) tr->options = *options;
  wr_list_init(&tr->links);
  wr_list_init(&tr->live);
  tr->scratch = wr_alloc(WR_H2_LINK_READ + WR_CHANNEL_SLACK);
  return &tr->base;
}
