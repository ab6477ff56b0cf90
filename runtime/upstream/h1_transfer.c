#include "upstream/h1_transfer.h"

#include "base/alloc.h"
#include "base/duration.h"
#include "upstream/h1_receive.h"
#include "upstream/h1_send.h"
#include "upstream/h1_tls.h"

#include <stdio.h>

enum {
  HEAD_SIZE = 1 << 20,
  OUT_SIZE = 16 << 20,    // a writer that does not wait fails here
  KEEP_BYTES = 16 * 1024, // a larger buffer is not kept for the next transfer
  SPARES = 256,
};

// A server that answered so lately is not about to give the connection up: the shortest keep-alive
// times in use are 2 s and more.
#define RECENT_NS WR_SECOND

static void on_timer(struct wr_timer *timer);
static void on_work(struct wr_deferred *d);
static void serve(struct wr_h1_pool *pool);

// Life

static struct wr_h1_transfer *take_spare(struct wr_h1_transport *tr)
{
  struct wr_list *node = wr_list_pop(&tr->spare);
  if (node != NULL) {
    tr->spare_count--;
    return WR_CONTAINER(node, struct wr_h1_transfer, link);
  }
  struct wr_h1_transfer *t = wr_alloc(sizeof(*t));
  wr_timer_init(&t->timer, tr->base.loop, on_timer);
  wr_buf_init(&t->head, HEAD_SIZE);
  wr_buf_init(&t->out, OUT_SIZE);
  wr_buf_init(&t->trailers, WR_BODY_TRAILERS_MAX);
  return t;
}

struct wr_h1_transfer *wr_h1_transfer_new(struct wr_h1_transport *tr,
                                          const struct wr_transfer_request *rq)
{
  struct wr_h1_transfer *t = take_spare(tr);
  *t = (struct wr_h1_transfer){
      .base.transport = &tr->base,
      .tr = tr,
      .events = *rq->events,
      .ctx = rq->ctx,
      .started_ns = wr_loop_now(tr->base.loop),
      .timeouts = rq->timeouts,
      .is_guarded = rq->is_guarded,
      .is_idempotent = rq->is_idempotent,
      .is_fresh = rq->is_fresh,
      .is_head = wr_str_eq(rq->method, WR_STR("HEAD")),
      .timer = t->timer,
      .head = t->head,
      .body_kind = rq->body_kind,
      .body = rq->body_kind == WR_TRANSFER_BODY_BYTES ? rq->body : (struct wr_str){NULL, 0},
      .out = t->out,
      .trailers = t->trailers,
      .has_length = rq->has_length,
      .length = rq->length,
      .keep_ns = UINT64_MAX,
      .tunnel_idle_ns = rq->tunnel_idle_ns,
      .tunnel_total_ns = rq->tunnel_total_ns,
  };
  if (rq->upgrade.len > 0)
    snprintf(t->upgrade, sizeof(t->upgrade), "%.*s", WR_STR_ARG(rq->upgrade));
  wr_buf_clear(&t->head);
  wr_buf_clear(&t->out);
  wr_buf_clear(&t->trailers);
  wr_list_init(&t->wait);
  wr_deferred_init(&t->work, on_work);
  wr_list_push(&tr->live, &t->link);
  return t;
}

void wr_h1_transfer_free(struct wr_h1_transfer *t)
{
  wr_timer_stop(&t->timer);
  wr_list_remove(&t->link);
  wr_buf_fini(&t->head);
  wr_buf_fini(&t->out);
  wr_buf_fini(&t->trailers);
  wr_free(t);
}

static void recycle(struct wr_h1_transfer *t)
{
  struct wr_h1_transport *tr = t->tr;
  if (tr->spare_count >= SPARES || tr->base.is_closing) {
    wr_h1_transfer_free(t);
    return;
  }
  if (t->head.cap > KEEP_BYTES) wr_buf_fini(&t->head);
  if (t->out.cap > KEEP_BYTES) wr_buf_fini(&t->out);
  wr_list_remove(&t->link);
  wr_list_push(tr->spare.next, &t->link);
  tr->spare_count++;
}

// The end

static void let_go(struct wr_h1_transfer *t, bool is_reusable)
{
  if (t->dial != NULL) wr_h1_dial_stop(t->dial);
  if (t->conn != NULL && is_reusable) {
    wr_h1_pool_give(t->conn, t->keep_ns);
  } else if (t->conn != NULL) {
    wr_h1_connection_close(t->conn);
  }
  t->dial = NULL;
  t->conn = NULL;
  wr_list_remove(&t->wait);
}

static void silence(struct wr_h1_transfer *t, bool is_reusable)
{
  struct wr_h1_pool *pool = t->pool;
  t->is_ended = true;
  wr_timer_pause(&t->timer);
  wr_loop_undefer(&t->work);
  let_go(t, is_reusable);
  if (pool == NULL) return;
  t->pool = NULL;
  pool->transfers--;
  serve(pool);
}

// Delivers the end, once. The memory goes when no callback of it runs any more.
static void finish(struct wr_h1_transfer *t, bool is_reusable, const struct wr_error *error)
{
  silence(t, is_reusable);
  t->events.on_end(t->ctx, &t->base, error);
  if (!t->is_busy) recycle(t);
}

void wr_h1_transfer_cancel(struct wr_h1_transfer *t)
{
  silence(t, false);
  if (!t->is_busy) recycle(t);
}

void wr_h1_transfer_complete(struct wr_h1_transfer *t, bool is_reusable)
{
  static const struct wr_error none = {.kind = WR_ERROR_NONE, .sent = WR_SENT_BODY};
  finish(t, is_reusable, &none);
}

static enum wr_sent how_much(const struct wr_h1_transfer *t)
{
  if (t->body_sent > 0 || t->has_streamed) return WR_SENT_BODY;
  return t->head_sent > t->preamble ? WR_SENT_HEAD : WR_SENT_NOTHING;
}

static void describe(const struct wr_h1_transfer *t, struct wr_error *e, enum wr_error_kind kind,
                     const char *cause)
{
  const char *url = t->pool ? t->pool->url : "http";
  const char *at =
      t->stats.address[0] && strstr(url, t->stats.address) == NULL ? t->stats.address : NULL;
  wr_error_set(e, kind, "%.90s%s%s%s: %s", url, at ? " (" : "", at ? at : "", at ? ")" : "", cause);
  e->sent = how_much(t);
  e->retryable = e->sent == WR_SENT_NOTHING || (t->is_idempotent && !t->is_final);
}

void wr_h1_transfer_fail(struct wr_h1_transfer *t, enum wr_error_kind kind, const char *cause)
{
  struct wr_error error;
  describe(t, &error, kind, cause);
  finish(t, false, &error);
}

void wr_h1_transfer_fail_later(struct wr_h1_transfer *t, enum wr_error_kind kind, const char *cause)
{
  if (t->failure.kind != WR_ERROR_NONE) return;
  describe(t, &t->failure, kind, cause);
  wr_loop_defer(t->tr->base.loop, &t->work);
}

// Connections

// What is to be sent leaves at the end of the turn, the first piece of a stream with the head.
static void attach(struct wr_h1_transfer *t, struct wr_h1_connection *c)
{
  t->conn = c;
  c->user = t;
  t->stats.is_reused = c->is_reused;
  // Over TLS it went before the handshake.
  if (c->is_reused || c->channel != NULL) t->head_sent = t->preamble;
  t->stats.connect_ns = wr_loop_now(t->tr->base.loop) - t->started_ns;
  memcpy(t->stats.address, c->address, sizeof(c->address));
  wr_h1_transfer_set_phase(t, WR_H1_PHASE_SEND);
  wr_io_want(&c->io, WR_IO_READ);
  wr_loop_defer(t->tr->base.loop, &t->work);
}

// How long a connection may have idled before this transfer rides it.
static uint64_t idle_max(const struct wr_h1_transfer *t)
{
  uint64_t limit = t->pool->idle_max_ns;
  if (t->is_fresh || t->stats.is_resent) return 0;
  return t->is_idempotent || limit < RECENT_NS ? limit : RECENT_NS;
}

static void acquire(struct wr_h1_transfer *t)
{
  struct wr_h1_connection *c = wr_h1_pool_take(t->pool, idle_max(t));
  if (c != NULL) {
    attach(t, c);
  } else if (wr_h1_pool_make_room(t->pool)) {
    t->dial = wr_h1_dial_start(t);
  } else {
    wr_list_push(&t->pool->waiting, &t->wait);
  }
}

void wr_h1_transfer_acquire(struct wr_h1_transfer *t)
{
  wr_loop_defer(t->tr->base.loop, &t->work);
}

// Something became free: the oldest that wait get it.
static void serve(struct wr_h1_pool *pool)
{
  if (pool->tr->base.is_closing) return;
  while (!wr_list_is_empty(&pool->waiting) && wr_h1_pool_may_serve(pool)) {
    struct wr_list *node = wr_list_pop(&pool->waiting);
    acquire(WR_CONTAINER(node, struct wr_h1_transfer, wait));
  }
}

void wr_h1_transfer_break(struct wr_h1_transfer *t, const char *cause)
{
  bool is_untouched = t->head_sent <= t->preamble;
  bool may_again = t->stats.is_reused && !t->has_answer && !t->stats.is_resent &&
                   !t->has_streamed && (t->is_idempotent || is_untouched);
  if (!may_again) {
    wr_h1_transfer_fail(t, WR_ERROR_RESET, cause);
    return;
  }
  t->stats.is_resent = true;
  t->head_sent = t->body_sent = 0;
  t->is_send_broken = t->is_send_blocked = false;
  let_go(t, false);
  wr_h1_transfer_set_phase(t, WR_H1_PHASE_OPEN);
  t->dial = wr_h1_dial_start(t);
}

// Time

void wr_h1_transfer_set_phase(struct wr_h1_transfer *t, enum wr_h1_phase phase)
{
  t->phase = phase;
  t->phase_ns = wr_loop_now(t->tr->base.loop);
}

static uint64_t after(uint64_t from, uint64_t limit_ns)
{
  return limit_ns == 0 || limit_ns > UINT64_MAX - from ? UINT64_MAX : from + limit_ns;
}

static uint64_t phase_deadline(const struct wr_h1_transfer *t)
{
  switch (t->phase) {
  case WR_H1_PHASE_OPEN:
    return t->dial ? t->dial->until_ns : after(t->started_ns, t->timeouts.connect_ns);
  case WR_H1_PHASE_SEND: return UINT64_MAX;
  case WR_H1_PHASE_HEAD: return after(t->phase_ns, t->timeouts.first_byte_ns);
  case WR_H1_PHASE_BODY:
    return t->is_paused ? UINT64_MAX : after(t->phase_ns, t->timeouts.between_bytes_ns);
  }
  WR_UNREACHABLE("phase of a transfer");
}

static uint64_t deadline_of(const struct wr_h1_transfer *t)
{
  uint64_t phase = phase_deadline(t);
  uint64_t total = t->timeouts.total_at_ns;
  return total != 0 && total < phase ? total : phase;
}

static void set_timer(struct wr_h1_transfer *t)
{
  wr_timer_start_at(&t->timer, deadline_of(t));
}

static void fail_timeout(struct wr_h1_transfer *t, const char *what, uint64_t limit_ns)
{
  char cause[80];
  snprintf(cause, sizeof(cause), "%s within %llu ms", what, (unsigned long long)(limit_ns / WR_MS));
  wr_h1_transfer_fail(t, WR_ERROR_TIMEOUT, cause);
}

static void fail_late_dial(struct wr_h1_transfer *t)
{
  bool is_shaking = t->dial && t->dial->conn && t->dial->conn->channel;
  if (t->dial && t->dial->addresses.count == 0 && t->dial->conn == NULL) {
    fail_timeout(t, "the name did not resolve", t->timeouts.connect_ns);
  } else if (t->dial == NULL || !wr_h1_dial_next(t->dial)) {
    fail_timeout(t, is_shaking ? "no end of the TLS handshake" : "no connection",
                 t->timeouts.connect_ns);
  }
}

static void on_timer(struct wr_timer *timer)
{
  struct wr_h1_transfer *t = WR_CONTAINER(timer, struct wr_h1_transfer, timer);
  uint64_t now = wr_loop_now(t->tr->base.loop);
  uint64_t total = t->timeouts.total_at_ns;
  if (deadline_of(t) > now) {
    set_timer(t);
  } else if (total != 0 && total <= now) {
    fail_timeout(t, "no complete response", total > t->started_ns ? total - t->started_ns : 0);
  } else if (t->phase == WR_H1_PHASE_OPEN) {
    fail_late_dial(t);
  } else if (t->phase == WR_H1_PHASE_HEAD) {
    fail_timeout(t, "no response head", t->timeouts.first_byte_ns);
  } else if (t->is_tunnel) {
    fail_timeout(t, "nothing came through the tunnel", t->timeouts.between_bytes_ns);
  } else {
    fail_timeout(t, "no more of the body", t->timeouts.between_bytes_ns);
  }
}

// What moves it

void wr_h1_transfer_settle(struct wr_h1_transfer *t)
{
  t->is_busy = false;
  if (t->is_ended) {
    recycle(t);
    return;
  }
  set_timer(t);
  if (t->conn == NULL) return;
  int events = t->is_paused ? 0 : WR_IO_READ;
  if (t->is_send_blocked && !t->is_send_broken) events |= WR_IO_WRITE;
  if (t->conn->channel != NULL) events = wr_h1_tls_wants(t->conn, events);
  wr_io_want(&t->conn->io, events ? events : WR_IO_ERROR);
}

void wr_h1_transfer_on_ready(struct wr_h1_transfer *t, int events)
{
  t->is_busy = true;
  if (events & WR_IO_WRITE) {
    t->is_send_blocked = false;
    wr_h1_send_flush(t);
    wr_h1_send_tell_room(t);
  }
  // After an error libuv watches no more: all that is left is read without being told of it.
  if (events & WR_IO_ERROR && t->conn != NULL) t->conn->is_failed = true;
  if (!t->is_ended && (events & (WR_IO_READ | WR_IO_ERROR))) wr_h1_receive(t);
  wr_h1_transfer_settle(t);
}

void wr_h1_transfer_on_open(struct wr_h1_transfer *t, struct wr_h1_connection *c)
{
  attach(t, c);
}

void wr_h1_transfer_on_dialing(struct wr_h1_transfer *t)
{
  set_timer(t);
}

void wr_h1_transfer_on_dial_failed(struct wr_h1_transfer *t, enum wr_error_kind kind,
                                   const char *cause)
{
  wr_h1_transfer_fail(t, kind, cause);
}

// Asked for by the caller, and done at the end of the turn.
static void on_work(struct wr_deferred *d)
{
  struct wr_h1_transfer *t = WR_CONTAINER(d, struct wr_h1_transfer, work);
  t->is_busy = true;
  if (t->failure.kind != WR_ERROR_NONE) {
    struct wr_error error = t->failure;
    finish(t, false, &error);
    wr_h1_transfer_settle(t);
    return;
  }
  if (t->conn == NULL && t->dial == NULL && wr_list_is_empty(&t->wait)) acquire(t);
  if (t->conn != NULL) {
    wr_loop_undefer(&t->work); // what `attach` asked for is done here
    wr_h1_send_flush(t);
    wr_h1_send_tell_room(t);
    if (!t->is_ended && !t->is_paused) wr_h1_receive_rest(t);
  }
  wr_h1_transfer_settle(t);
}
