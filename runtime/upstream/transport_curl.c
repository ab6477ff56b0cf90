#include "upstream/transport_curl.h"

#include "base/alloc.h"
#include "base/duration.h"
#include "upstream/curl_error.h"
#include "upstream/curl_events.h"
#include "upstream/curl_request.h"
#include "upstream/curl_transfer.h"
#include "upstream/transfer.h"

#include <stdio.h>
#include <string.h>

static struct wr_curl_transport *transport_of(struct wr_transport *tr)
{
  return WR_CONTAINER(tr, struct wr_curl_transport, base);
}

static struct wr_curl_transfer *transfer_of(const struct wr_transfer *t)
{
  return WR_CONTAINER(t, struct wr_curl_transfer, base);
}

// Results

static const char *cause_of(struct wr_curl_transfer *t, CURLcode result)
{
  bool is_refused_again = result == CURLE_ABORTED_BY_CALLBACK || result == CURLE_SEND_FAIL_REWIND;
  if (is_refused_again) return "the connection closed before a response";
  if (result == CURLE_GOT_NOTHING) return "the connection closed before a response";
  if (result == CURLE_PARTIAL_FILE) return "the connection closed before the response was complete";
  return wr_curl_error_cause(t->easy, result, t->detail);
}

static void settle(struct wr_curl_transfer *t, CURLcode result)
{
  if (t->is_ended) return;
  if (t->is_spent) {
    wr_curl_transfer_start_again(t);
  } else if (t->failure.kind != WR_ERROR_NONE) {
    wr_curl_transfer_finish(t, &t->failure);
  } else if (result == CURLE_OK && t->response.is_final) {
    wr_curl_transfer_complete(t);
  } else if (result == CURLE_OK) {
    wr_curl_transfer_fail(t, WR_ERROR_RESET, "the connection closed before a response");
  } else if (result == CURLE_COULDNT_CONNECT && wr_curl_transfer_try_next(t)) {
    return;
  } else {
    wr_curl_transfer_fail(t, wr_curl_error_kind(result, t->detail), cause_of(t, result));
  }
}

static void on_done(CURL *easy, CURLcode result)
{
  char *ctx = NULL;
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, &ctx);
  settle((struct wr_curl_transfer *)(void *)ctx, result);
}

// What could not be done where it was asked for: at the end of the turn, outside of libcurl.

static void apply_pauses(struct wr_curl_transfer *t)
{
  bool hold_recv = t->is_recv_held && t->is_paused;
  bool hold_send = t->is_send_held && t->upload.buf.len == 0 && !t->upload.is_ended;
  if (hold_recv == t->is_recv_held && hold_send == t->is_send_held) return;
  t->is_recv_held = hold_recv;
  t->is_send_held = hold_send;
  int mask = (hold_recv ? CURLPAUSE_RECV : 0) | (hold_send ? CURLPAUSE_SEND : 0);
  // Delivers what was held back, so anything may happen in here.
  CURLcode result = curl_easy_pause(t->easy, mask);
  if (result != CURLE_OK) settle(t, result);
}

static void on_work(struct wr_deferred *d)
{
  struct wr_curl_transfer *t = WR_CONTAINER(d, struct wr_curl_transfer, work);
  if (!t->is_ended) {
    if (t->failure.kind != WR_ERROR_NONE) {
      wr_curl_transfer_finish(t, &t->failure);
    } else if (t->is_early) {
      wr_curl_transfer_complete(t);
    } else if (t->is_added) {
      apply_pauses(t);
    }
  }
  if (t->is_ended) wr_curl_transfer_free(t);
}

// Starting

static void on_resolved(struct wr_resolver_query *q, const struct wr_dns_answer *answer,
                        const struct wr_error *error)
{
  struct wr_curl_transfer *t = WR_CONTAINER(q, struct wr_curl_transfer, query);
  if (answer == NULL) {
    wr_curl_transfer_fail(t, WR_ERROR_DNS, error->message);
    return;
  }
  if (t->is_guarded && wr_transfer_has_link_local(answer)) {
    wr_curl_transfer_fail(t, WR_ERROR_INVALID,
                          "link-local addresses are for declared upstreams only");
    return;
  }
  t->addresses = *answer;
  wr_curl_transfer_connect(t);
}

static void name_endpoint(struct wr_curl_transfer *t, const struct wr_transfer_request *rq)
{
  if (t->is_path) {
    snprintf(t->stats.address, sizeof(t->stats.address), "unix:%.*s", WR_STR_ARG(rq->host));
    snprintf(t->endpoint, sizeof(t->endpoint), rq->is_https ? "https://%s" : "http://%s",
             t->stats.address);
    return;
  }
  bool is_ipv6 = rq->host.len > 0 && memchr(rq->host.ptr, ':', rq->host.len) != NULL;
  snprintf(t->endpoint, sizeof(t->endpoint), is_ipv6 ? "%s://[%.*s]:%u" : "%s://%.*s:%u",
           rq->is_https ? "https" : "http", WR_STR_ARG(rq->host), (unsigned)rq->port);
}

static struct wr_curl_transfer *new_transfer(struct wr_curl_transport *tr,
                                             const struct wr_transfer_request *rq)
{
  struct wr_curl_transfer *t = wr_alloc(sizeof(*t));
  t->base.transport = &tr->base;
  t->tr = tr;
  t->events = *rq->events;
  t->ctx = rq->ctx;
  t->port = rq->port;
  t->is_https = rq->is_https;
  t->is_path = wr_transfer_is_path(rq->host);
  t->is_guarded = rq->is_guarded;
  t->is_idempotent = rq->is_idempotent;
  t->timeouts = rq->timeouts;
  t->started_ns = wr_loop_now(tr->base.loop);
  t->opened = t->own = CURL_SOCKET_BAD;
  name_endpoint(t, rq);
  snprintf(t->method, sizeof(t->method), "%.*s", WR_STR_ARG(rq->method));
  wr_deferred_init(&t->work, on_work);
  wr_timer_init(&t->phase_timer, tr->base.loop, wr_curl_transfer_on_phase);
  wr_timer_init(&t->total_timer, tr->base.loop, wr_curl_transfer_on_total);
  wr_upload_init(&t->upload, rq);
  wr_curl_response_init(&t->response);
  wr_list_push(&tr->live, &t->link);
  return t;
}

static struct wr_transfer *start(struct wr_transport *transport,
                                 const struct wr_transfer_request *rq)
{
  struct wr_curl_transport *tr = transport_of(transport);
  struct wr_curl_transfer *t = new_transfer(tr, rq);
  const char *refused = wr_transfer_check(rq);
  if (tr->base.is_closing) refused = "the transport is closing";
  if (rq->upgrade.len > 0) refused = "this transport has no tunnels";
  if (refused) {
    wr_curl_transfer_fail_later(t, WR_ERROR_INVALID, refused);
    wr_loop_defer(tr->base.loop, &t->work);
    return &t->base;
  }
  t->preamble_len = rq->preamble.len;
  if (t->preamble_len > 0) memcpy(t->preamble, rq->preamble.ptr, t->preamble_len);
  t->easy = curl_easy_init();
  WR_CHECK(t->easy != NULL && wr_curl_events_set(t));
  t->fields = wr_curl_request_apply(rq, &tr->options, t->easy);
  if (t->timeouts.total_at_ns > 0) wr_timer_start_at(&t->total_timer, t->timeouts.total_at_ns);
  wr_curl_transfer_await_connect(t);
  if (t->is_path) {
    wr_curl_transfer_enter(t);
    return &t->base;
  }
  wr_resolver_query(tr->resolver, rq->host, &t->query, on_resolved);
  return &t->base;
}

static bool write_body(struct wr_transfer *transfer, struct wr_str data)
{
  struct wr_curl_transfer *t = transfer_of(transfer);
  const char *reason;
  if (t->is_ended) return true;
  if (!wr_upload_write(&t->upload, data, &reason))
    wr_curl_transfer_fail_later(t, WR_ERROR_INVALID, reason);
  wr_loop_defer(t->tr->base.loop, &t->work);
  return !t->upload.is_full;
}

static void write_end(struct wr_transfer *transfer)
{
  struct wr_curl_transfer *t = transfer_of(transfer);
  const char *reason;
  if (t->is_ended || t->upload.is_ended) return;
  if (!wr_upload_end(&t->upload, &reason)) wr_curl_transfer_fail_later(t, WR_ERROR_INVALID, reason);
  wr_loop_defer(t->tr->base.loop, &t->work);
}

static void resume(struct wr_transfer *transfer)
{
  struct wr_curl_transfer *t = transfer_of(transfer);
  if (t->is_ended || !t->is_paused) return;
  t->is_paused = false;
  wr_curl_transfer_await_body(t);
  wr_loop_defer(t->tr->base.loop, &t->work);
}

static void cancel(struct wr_transfer *transfer)
{
  struct wr_curl_transfer *t = transfer_of(transfer);
  if (!t->is_ended) wr_curl_transfer_silence(t);
}

static const struct wr_transfer_stats *stats(const struct wr_transfer *transfer)
{
  return &transfer_of(transfer)->stats;
}

// Life of the transport

static void on_multi_closed(struct wr_curl_multi *m)
{
  struct wr_curl_transport *tr = WR_CONTAINER(m, struct wr_curl_transport, multi);
  curl_global_cleanup();
  wr_transport_end(&tr->base);
}

static void close_transport(struct wr_transport *transport)
{
  struct wr_curl_transport *tr = transport_of(transport);
  WR_LIST_EACH(&tr->live, node) {
    struct wr_curl_transfer *t = WR_CONTAINER(node, struct wr_curl_transfer, link);
    cancel(&t->base);
    wr_curl_transfer_free(t);
  }
  wr_curl_multi_close(&tr->multi, on_multi_closed);
}

// libcurl watches no idle connection: none of them keeps a loop awake.
static void rest(struct wr_transport *transport)
{
  (void)transport;
}

// A connection has one transfer at a time; a transfer that waits for its turn has none.
static void count(struct wr_transport *transport, struct wr_transport_connections *out)
{
  const struct wr_curl_transport *tr = transport_of(transport);
  size_t active = tr->added < tr->multi.open ? tr->added : tr->multi.open;
  out->active += active;
  out->idle += tr->multi.open - active;
}

#define IDLE_DEFAULT_NS (4 * WR_SECOND)

static const struct wr_transport_ops ops = {
    .name = "curl",
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

struct wr_transport *wr_transport_curl_new(struct wr_loop *l, struct wr_resolver *resolver,
                                           const struct wr_transport_curl_options *options)
{
  WR_CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
  struct wr_curl_transport *tr = wr_alloc(sizeof(*tr));
  wr_transport_init(&tr->base, &ops, l);
  tr->resolver = resolver;
  if (options) tr->options = *options;
  if (tr->options.connections_max == 0) tr->options.connections_max = 256;
  if (tr->options.idle_ns == 0) tr->options.idle_ns = IDLE_DEFAULT_NS;
  wr_list_init(&tr->live);
  wr_curl_multi_init(&tr->multi, l, (long)tr->options.endpoint_connections_max,
                     (long)tr->options.connections_max);
  tr->multi.on_done = on_done;
  return &tr->base;
}
