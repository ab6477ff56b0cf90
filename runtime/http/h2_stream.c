#include "http/h2_internal.h"

#include "base/alloc.h"
#include "base/duration.h"
#include "http/judge.h"
#include "http/tls_session.h"

enum { OUT_MAX = 1 << 30 }; // a piece is the memory of the layer above first, and bounded there

// How long after its answer a client may take to send the little that is left of its request.
#define LINGER_NS (5 * WR_SECOND)
#define NEVER UINT64_MAX

static struct wr_loop *loop_of(const struct wr_h2_stream *s)
{
  return s->h2->c->server->loop;
}

// Life

static void on_timer(struct wr_timer *t);

struct wr_h2_stream *wr_h2_stream_new(struct wr_h2 *h2, int32_t id)
{
  struct wr_h2_stream *s = wr_alloc(sizeof(*s));
  s->h2 = h2;
  s->id = id;
  s->start_ns = wr_loop_now(h2->c->server->loop);
  wr_list_init(&s->link);
  wr_list_init(&s->ready);
  wr_list_push(&h2->streams, &s->link);
  h2->live++;
  wr_timer_init(&s->timer, h2->c->server->loop, on_timer);
  wr_region_init(&s->region, WR_H2_STREAM_REGION_MAX);
  wr_h2_head_init(&s->draft, &s->region, &h2->c->server->options.limits);
  wr_buf_init(&s->in, WR_H2_STREAM_WINDOW);
  wr_buf_init(&s->out, OUT_MAX);
  return s;
}

void wr_h2_stream_free(struct wr_h2_stream *s)
{
  WR_CHECK(!s->x.is_live);
  if (!s->is_over) s->h2->live--;
  wr_timer_stop(&s->timer);
  wr_list_remove(&s->link);
  wr_list_remove(&s->ready);
  wr_buf_fini(&s->in);
  wr_buf_fini(&s->out);
  wr_region_fini(&s->region);
  wr_free(s);
}

void wr_h2_stream_wake(struct wr_h2_stream *s)
{
  if (wr_list_is_empty(&s->ready)) wr_list_push(&s->h2->ready, &s->ready);
  wr_connection_poke(s->h2->c);
}

// Once for each way in which a stream ends early: nghttp2 then says `on_stream_close`.
static void send_reset(struct wr_h2_stream *s, uint32_t code)
{
  if (s->is_closed) return;
  nghttp2_submit_rst_stream(s->h2->session, NGHTTP2_FLAG_NONE, s->id, code);
}

void wr_h2_stream_fail(struct wr_h2_stream *s, enum wr_error_kind kind, const char *text,
                       uint32_t code)
{
  if (s->failure != WR_ERROR_NONE) return;
  s->failure = kind;
  s->failure_text = text;
  send_reset(s, code);
  wr_h2_stream_wake(s);
}

void wr_h2_stream_pump(struct wr_h2_stream *s)
{
  if (s->is_closed || !s->is_deferred) return;
  s->is_deferred = false;
  nghttp2_session_resume_data(s->h2->session, s->id);
  wr_connection_poke(s->h2->c);
}

// Beginning

static void begin(struct wr_h2_stream *s)
{
  struct wr_connection *c = s->h2->c;
  struct wr_exchange *x = &s->x;
  s->is_begun = true;
  const char *fault = NULL;
  int status = wr_h2_head_read(&s->draft, s->has_body, &x->head, &fault);
  x->ops = &wr_h2_exchange_ops;
  x->server = c->server;
  x->info = (struct wr_exchange_info){
      .region = &s->region,
      .client = wr_str_of(c->peer.text),
      .client_port = c->peer.port,
      .scheme = c->channel.tls ? WR_STR("https") : WR_STR("http"),
      .tls = c->channel.tls ? wr_tls_session_facts(&c->channel) : NULL,
      .version = WR_STR("2"),
      .start_ns = s->start_ns,
  };
  x->is_body_done = s->saw_end && s->in.len == 0;
  x->is_expecting = x->head.expect_continue;
  c->server->stats.requests++;
  if (status == 0) {
    wr_judge_begin(x);
  } else {
    c->server->stats.bad_requests++;
    wr_judge_refuse(x, status, fault);
  }
}

// Ending

void wr_h2_stream_swallow(struct wr_h2_stream *s, size_t len)
{
  if (!s->is_closed && len > 0) nghttp2_session_consume_stream(s->h2->session, s->id, len);
}

// Does so little of the request still have to come that it is better swallowed than stopped?
static bool is_nearly_read(const struct wr_h2_stream *s)
{
  const struct wr_head *head = &s->x.head;
  return head->framing == WR_FRAMING_LENGTH &&
         head->content_length - s->received <= WR_CONNECTION_DISCARD;
}

static void finish(struct wr_h2_stream *s)
{
  struct wr_exchange *x = &s->x;
  x->stats.is_complete = s->is_sent && x->is_ended;
  if (!s->has_head) x->stats.status = 0;
  size_t unsent = s->out.len;
  x->stats.sent_bytes -= unsent < x->stats.sent_bytes ? unsent : x->stats.sent_bytes;
  s->is_over = true;
  s->h2->live--;
  wr_timer_stop(&s->timer);
  wr_exchange_finish(x);
  wr_h2_stream_swallow(s, s->in.len);
  wr_buf_fini(&s->in);
  wr_buf_fini(&s->out);
  if (s->is_closed) return;
  bool is_answered = s->is_sent && x->is_ended;
  if (is_answered && is_nearly_read(s)) {
    wr_timer_start(&s->timer, LINGER_NS);
  } else {
    // RFC 9113 8.1: who has answered may stop the request without an error.
    send_reset(s, is_answered ? NGHTTP2_NO_ERROR : NGHTTP2_INTERNAL_ERROR);
  }
}

static void expire(struct wr_h2_stream *s)
{
  struct wr_server_stats *stats = &s->h2->c->server->stats;
  s->is_expired = false;
  if (s->out.len > 0) {
    stats->send_timeouts++;
    wr_h2_stream_fail(s, WR_ERROR_TIMEOUT, "the client did not take the response in time",
                      NGHTTP2_CANCEL);
  } else {
    stats->body_timeouts++;
    wr_exchange_refuse_body(&s->x, WR_ERROR_TIMEOUT, "the request body did not arrive in time");
  }
}

static void tell_gone(struct wr_h2_stream *s)
{
  enum wr_error_kind kind = s->failure ? s->failure : WR_ERROR_CANCELLED;
  wr_exchange_tell_gone(&s->x, kind,
                        s->failure_text ? s->failure_text : "the client reset the stream");
}

static bool is_lost(const struct wr_h2_stream *s)
{
  const struct wr_connection *c = s->h2->c;
  return s->failure || s->is_closed || c->failure || c->state == WR_CONNECTION_CLOSED;
}

static void step_exchange(struct wr_h2_stream *s)
{
  struct wr_exchange *x = &s->x;
  if (s->is_expired) expire(s);
  if (!is_lost(s)) {
    wr_exchange_deliver(x);
    wr_exchange_go_on(x);
  }
  bool is_done = s->is_sent && x->is_ended;
  if (!is_done && is_lost(s)) tell_gone(s);
  if (is_done || x->is_aborted || (is_lost(s) && x->is_ended)) finish(s);
}

// Waiting

static uint64_t after(uint64_t from, uint64_t ns)
{
  return ns > NEVER - from ? NEVER : from + ns;
}

static uint64_t deadline_of(const struct wr_h2_stream *s)
{
  const struct wr_server_options *o = &s->h2->c->server->options;
  const struct wr_exchange *x = &s->x;
  if (s->out.len > 0) return after(s->sent_ns, o->send_timeout_ns);
  if (x->is_reading && !x->is_body_done && !x->is_gone) {
    return after(x->body_ns, o->body_timeout_ns);
  }
  return NEVER;
}

static void set_timer(struct wr_h2_stream *s)
{
  wr_timer_start_at(&s->timer, deadline_of(s));
}

static void on_timer(struct wr_timer *t)
{
  struct wr_h2_stream *s = WR_CONTAINER(t, struct wr_h2_stream, timer);
  if (s->is_over) {
    send_reset(s, NGHTTP2_NO_ERROR);
    wr_connection_poke(s->h2->c);
    return;
  }
  if (deadline_of(s) > wr_loop_now(loop_of(s))) {
    set_timer(s);
    return;
  }
  s->is_expired = true;
  wr_h2_stream_wake(s);
}

void wr_h2_stream_step(struct wr_h2_stream *s)
{
  if (s->is_headed && !s->is_begun && !is_lost(s)) begin(s);
  if (s->is_begun && !s->is_over) step_exchange(s);
  // nghttp2 knows it no more, or will not be asked again.
  bool is_forgotten = s->is_closed || s->h2->c->state == WR_CONNECTION_CLOSED;
  if (is_forgotten && (s->is_over || !s->is_begun)) {
    wr_h2_stream_free(s);
  } else if (s->is_begun && !s->is_over) {
    set_timer(s);
  }
}
