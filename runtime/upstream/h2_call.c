#include "upstream/h2_call.h"

#include "base/alloc.h"
#include "base/decimal.h"
#include "base/duration.h"
#include "upstream/h2_dial.h"
#include "upstream/outbound_tls.h"
#include "upstream/transfer.h"

#include <stdio.h>

enum {
  REQUEST_MAX = 512 * 1024,
  ANSWER_MAX = 128 * 1024,
  HEAD_SLACK = 70 * 1024, // a field that did not fit is no longer than this
  OWN_FIELDS = 8,         // beside those of the caller
};

// A server that was heard of so lately is not about to give the connection up.
#define RECENT_NS WR_SECOND
#define IDLE_DEFAULT_NS (4 * WR_SECOND)

static void on_timer(struct wr_timer *timer);
static void on_work(struct wr_deferred *d);

// The request's head

static void put(struct wr_h2_call *c, struct wr_str name, struct wr_str value)
{
  name = wr_region_copy(&c->region, name);
  value = wr_region_copy(&c->region, value);
  if (name.ptr == NULL || value.ptr == NULL) return;
  char *lower = (char *)name.ptr;
  for (size_t i = 0; i < name.len; i++) lower[i] = wr_str_lower(lower[i]);
  c->fields[c->field_count++] = (nghttp2_nv){
      .name = (uint8_t *)lower,
      .value = (uint8_t *)value.ptr,
      .namelen = name.len,
      .valuelen = value.len,
  };
}

static void put_length(struct wr_h2_call *c, uint64_t length)
{
  char text[WR_DECIMAL_SIZE];
  size_t len = wr_decimal_write(text, length);
  put(c, WR_STR("content-length"), (struct wr_str){text, len});
}

static void put_framing(struct wr_h2_call *c, const struct wr_transfer_request *rq)
{
  switch (rq->body_kind) {
  case WR_TRANSFER_BODY_NONE:
    if (wr_transfer_wants_length(rq->method)) put_length(c, 0);
    break;
  case WR_TRANSFER_BODY_BYTES: put_length(c, rq->body.len); break;
  case WR_TRANSFER_BODY_STREAM:
    if (rq->has_length) put_length(c, rq->length);
    break;
  }
}

bool wr_h2_call_write_head(struct wr_h2_call *c, const struct wr_transfer_request *rq)
{
  size_t count = (rq->headers ? rq->headers->count : 0) + OWN_FIELDS;
  c->fields = wr_region_take(&c->region, count * sizeof(*c->fields));
  if (c->fields == NULL) return false;
  put(c, WR_STR(":method"), rq->method);
  put(c, WR_STR(":scheme"), rq->is_https ? WR_STR("https") : WR_STR("http"));
  put(c, WR_STR(":authority"), rq->authority);
  put(c, WR_STR(":path"), rq->target);
  for (size_t i = 0; rq->headers != NULL && i < rq->headers->count; i++) {
    const struct wr_header *h = &rq->headers->items[i];
    // The expectation is between the client and us.
    if (!wr_str_eq_nocase(h->name, WR_STR("Expect"))) put(c, h->name, h->value);
  }
  if (rq->takes_trailers) put(c, WR_STR("te"), WR_STR("trailers"));
  put_framing(c, rq);
  return c->region.total < c->region.max - HEAD_SLACK;
}

// Life

static void name_endpoint(struct wr_h2_call *c, const struct wr_transfer_request *rq)
{
  const char *scheme = rq->is_https ? "https" : "http";
  const char *format = strchr(c->host, ':') != NULL ? "%s://[%s]:%u" : "%s://%s:%u";
  if (wr_transfer_is_path(rq->host)) format = "%s://unix:%s";
  snprintf(c->endpoint, sizeof(c->endpoint), format, scheme, c->host, (unsigned)c->port);
}

bool wr_h2_call_secure(struct wr_h2_call *c, const struct wr_transfer_request *rq)
{
  char name[WR_OUTBOUND_TLS_NAME];
  if (!wr_outbound_tls_name(rq, name)) return false;
  c->tls = wr_client_tls_ref(wr_outbound_tls_of(c->tr->options.tls, rq));
  c->name = (char *)wr_region_copy(&c->region, wr_str_of(name)).ptr;
  return c->name != NULL;
}

struct wr_h2_call *wr_h2_call_new(struct wr_h2_transport *tr, const struct wr_transfer_request *rq)
{
  struct wr_h2_call *c = wr_alloc(sizeof(*c));
  *c = (struct wr_h2_call){
      .base.transport = &tr->base,
      .tr = tr,
      .events = *rq->events,
      .ctx = rq->ctx,
      .started_ns = wr_loop_now(tr->base.loop),
      .phase_ns = wr_loop_now(tr->base.loop),
      .timeouts = rq->timeouts,
      .is_guarded = rq->is_guarded,
      .is_idempotent = rq->is_idempotent,
      .is_fresh = rq->is_fresh,
      .port = rq->port,
  };
  c->idle_max_ns = rq->pool_idle_ns ? rq->pool_idle_ns : tr->options.idle_ns;
  if (c->idle_max_ns == 0) c->idle_max_ns = IDLE_DEFAULT_NS;
  wr_region_init(&c->region, REQUEST_MAX);
  wr_region_init(&c->answer, ANSWER_MAX);
  wr_buf_init(&c->in, WR_H2_LINK_WINDOW);
  wr_upload_init(&c->upload, rq);
  wr_list_init(&c->on_link);
  wr_list_init(&c->ready);
  wr_deferred_init(&c->work, on_work);
  wr_timer_init(&c->timer, tr->base.loop, on_timer);
  wr_list_push(&tr->live, &c->live);
  c->host = (char *)wr_region_copy(&c->region, rq->host).ptr;
  if (c->host != NULL) name_endpoint(c, rq);
  if (rq->preamble.len > 0) c->preamble = wr_region_copy(&c->region, rq->preamble);
  return c;
}

static void free_call(struct wr_h2_call *c)
{
  wr_loop_undefer(&c->work);
  wr_timer_stop(&c->timer);
  wr_list_remove(&c->live);
  wr_client_tls_unref(c->tls);
  wr_region_fini(&c->region);
  wr_region_fini(&c->answer);
  wr_buf_fini(&c->in);
  wr_upload_fini(&c->upload);
  wr_free(c);
}

void wr_h2_call_forget_answer(struct wr_h2_call *c)
{
  wr_buf_clear(&c->in);
  wr_region_clear(&c->answer);
  c->trailers = (struct wr_headers){0};
  c->has_head = c->saw_end = c->is_closed = c->is_reset = false;
  c->has_length = false;
  c->bad = NULL;
  c->interims = 0;
  c->id = 0;
  c->code = NGHTTP2_NO_ERROR;
}

// The end

static void silence(struct wr_h2_call *c)
{
  c->is_ended = true;
  wr_timer_stop(&c->timer);
  wr_loop_undefer(&c->work);
  if (c->link) wr_h2_link_leave(c->link, c);
}

static void finish(struct wr_h2_call *c, const struct wr_error *error)
{
  struct wr_error copy = *error;
  silence(c);
  c->events.on_end(c->ctx, &c->base, &copy);
  if (!c->is_busy) free_call(c);
}

void wr_h2_call_cancel(struct wr_h2_call *c)
{
  silence(c);
  if (!c->is_busy) free_call(c);
}

static void complete(struct wr_h2_call *c)
{
  static const struct wr_error none = {.kind = WR_ERROR_NONE, .sent = WR_SENT_BODY};
  if (c->trailers.count > 0 && c->events.on_trailers) {
    c->events.on_trailers(c->ctx, &c->base, &c->trailers);
  }
  if (!c->is_ended) finish(c, &none);
}

static enum wr_sent how_much(const struct wr_h2_call *c)
{
  // What the peer has not processed was as good as not sent.
  if (c->id == 0 || c->code == NGHTTP2_REFUSED_STREAM) return WR_SENT_NOTHING;
  return c->upload.taken > 0 ? WR_SENT_BODY : WR_SENT_HEAD;
}

static void describe(const struct wr_h2_call *c, struct wr_error *e, enum wr_error_kind kind,
                     const char *cause)
{
  const char *at = c->stats.address;
  bool is_other = at[0] != '\0' && strstr(c->endpoint, at) == NULL;
  wr_error_set(e, kind, "%.90s%s%s%s: %s", c->endpoint, is_other ? " (" : "", is_other ? at : "",
               is_other ? ")" : "", cause);
  e->sent = how_much(c);
  e->retryable = e->sent == WR_SENT_NOTHING || (c->is_idempotent && !c->is_told);
}

static void fail(struct wr_h2_call *c, enum wr_error_kind kind, const char *cause)
{
  struct wr_error error;
  describe(c, &error, kind, cause);
  finish(c, &error);
}

void wr_h2_call_fail_later(struct wr_h2_call *c, enum wr_error_kind kind, const char *cause)
{
  if (c->failure.kind != WR_ERROR_NONE) return;
  describe(c, &c->failure, kind, cause);
  wr_loop_defer(c->tr->base.loop, &c->work);
}

static void on_work(struct wr_deferred *d)
{
  struct wr_h2_call *c = WR_CONTAINER(d, struct wr_h2_call, work);
  struct wr_error error = c->failure;
  if (error.kind == WR_ERROR_NONE) {
    wr_h2_call_step(c);
  } else {
    finish(c, &error);
  }
}

// Time

static uint64_t after(uint64_t from, uint64_t limit_ns)
{
  return limit_ns == 0 || limit_ns > UINT64_MAX - from ? UINT64_MAX : from + limit_ns;
}

static uint64_t deadline_of(const struct wr_h2_call *c)
{
  const struct wr_transfer_timeouts *t = &c->timeouts;
  uint64_t at = UINT64_MAX;
  switch (c->phase) {
  case WR_H2_CALL_OPEN: at = after(c->phase_ns, t->connect_ns); break;
  case WR_H2_CALL_SEND: break;
  case WR_H2_CALL_HEAD: at = after(c->phase_ns, t->first_byte_ns); break;
  case WR_H2_CALL_BODY:
    if (!c->is_paused) at = after(c->phase_ns, t->between_bytes_ns);
    break;
  }
  return t->total_at_ns != 0 && t->total_at_ns < at ? t->total_at_ns : at;
}

static void set_timer(struct wr_h2_call *c)
{
  uint64_t at = deadline_of(c);
  if (c->is_ended || at == UINT64_MAX) {
    wr_timer_stop(&c->timer);
  } else {
    wr_timer_start_at(&c->timer, at);
  }
}

void wr_h2_call_set_phase(struct wr_h2_call *c, enum wr_h2_call_phase phase)
{
  c->phase = phase;
  c->phase_ns = wr_loop_now(c->tr->base.loop);
  set_timer(c);
}

static void fail_timeout(struct wr_h2_call *c, const char *what, uint64_t limit_ns)
{
  char cause[80];
  snprintf(cause, sizeof(cause), "%s within %llu ms", what, (unsigned long long)(limit_ns / WR_MS));
  fail(c, WR_ERROR_TIMEOUT, cause);
}

static void on_timer(struct wr_timer *timer)
{
  struct wr_h2_call *c = WR_CONTAINER(timer, struct wr_h2_call, timer);
  const struct wr_transfer_timeouts *t = &c->timeouts;
  uint64_t now = wr_loop_now(c->tr->base.loop);
  if (t->total_at_ns != 0 && t->total_at_ns <= now) {
    fail_timeout(c, "no complete response",
                 t->total_at_ns > c->started_ns ? t->total_at_ns - c->started_ns : 0);
  } else if (c->phase == WR_H2_CALL_OPEN) {
    fail_timeout(c, wr_h2_dial_late(c->link), t->connect_ns);
  } else if (c->phase == WR_H2_CALL_HEAD) {
    fail_timeout(c, "no response head", t->first_byte_ns);
  } else {
    fail_timeout(c, "no more of the body", t->between_bytes_ns);
  }
}

// Sending

void wr_h2_call_begin(struct wr_h2_call *c)
{
  uint64_t idle_max = c->idle_max_ns;
  if (!c->is_idempotent && idle_max > RECENT_NS) idle_max = RECENT_NS;
  if (c->is_fresh || c->stats.is_resent) idle_max = 0;
  wr_h2_call_set_phase(c, WR_H2_CALL_OPEN);
  wr_h2_link_join(wr_h2_link_for(c->tr, c, idle_max), c);
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *to, size_t room,
                         uint32_t *flags, nghttp2_data_source *source, void *user)
{
  (void)source;
  (void)user;
  struct wr_h2_call *c = nghttp2_session_get_stream_user_data(session, id);
  if (c == NULL) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  size_t got = wr_upload_take(&c->upload, (char *)to, room);
  c->stats.sent_bytes = c->upload.taken;
  if (c->upload.is_full && c->upload.buf.len <= WR_TRANSFER_UPLOAD_LOW) {
    c->upload.is_full = false;
    c->wants_writable = true;
    wr_h2_call_wake(c);
  }
  if (wr_upload_is_done(&c->upload)) {
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (c->phase == WR_H2_CALL_SEND) wr_h2_call_set_phase(c, WR_H2_CALL_HEAD);
    return (ssize_t)got;
  }
  c->is_deferred = got == 0;
  return got > 0 ? (ssize_t)got : NGHTTP2_ERR_DEFERRED;
}

void wr_h2_call_submit(struct wr_h2_call *c)
{
  nghttp2_data_provider body = {.read_callback = read_body};
  bool has_body = c->upload.kind != WR_TRANSFER_BODY_NONE;
  c->is_deferred = false;
  c->stats.connect_ns = wr_loop_now(c->tr->base.loop) - c->started_ns;
  wr_h2_call_set_phase(c, has_body ? WR_H2_CALL_SEND : WR_H2_CALL_HEAD);
  c->id = nghttp2_submit_request(c->link->session, NULL, c->fields, c->field_count,
                                 has_body ? &body : NULL, c);
  if (c->id > 0) return;
  c->id = 0;
  wr_h2_call_fail_later(c, WR_ERROR_RESET, "the connection takes no more requests");
}

// May it go again? Only what nobody has processed, or may be processed twice.
static bool may_go_again(const struct wr_h2_call *c)
{
  bool is_unprocessed = how_much(c) == WR_SENT_NOTHING;
  return !c->stats.is_resent && !c->has_head && (is_unprocessed || c->is_idempotent);
}

static bool go_again(struct wr_h2_call *c)
{
  if (!may_go_again(c) || !wr_upload_rewind(&c->upload)) return false;
  if (c->link) wr_h2_link_leave(c->link, c);
  c->stats.is_resent = true;
  wr_h2_call_forget_answer(c);
  wr_h2_call_begin(c);
  return true;
}

void wr_h2_call_lose(struct wr_h2_call *c, enum wr_error_kind kind, const char *cause)
{
  bool is_stale = c->stats.is_reused && kind == WR_ERROR_RESET;
  c->is_closed = true;                                     // the stream went with its connection
  if (c->has_head && c->saw_end && c->bad == NULL) return; // all of it is here, and waits
  if (is_stale && go_again(c)) return;
  if (c->has_head && kind == WR_ERROR_RESET) {
    cause = "the connection closed before the response was complete";
  }
  fail(c, kind, cause);
}

// Telling

void wr_h2_call_wake(struct wr_h2_call *c)
{
  if (c->is_ended) return;
  if (c->link == NULL) {
    wr_loop_defer(c->tr->base.loop, &c->work);
    return;
  }
  if (wr_list_is_empty(&c->ready)) wr_list_push(&c->link->ready, &c->ready);
  wr_h2_link_poke(c->link);
}

static void tell_head(struct wr_h2_call *c)
{
  const struct wr_transfer_head head = {
      .status = c->status,
      .minor = 2,
      .headers = &c->head,
      .has_length = c->has_length,
      .length = c->length,
  };
  c->is_told = true;
  c->stats.first_byte_ns = wr_loop_now(c->tr->base.loop) - c->started_ns;
  wr_h2_call_set_phase(c, WR_H2_CALL_BODY);
  c->events.on_head(c->ctx, &c->base, &head);
}

static void tell_body(struct wr_h2_call *c)
{
  struct wr_str piece = wr_buf_str(&c->in);
  size_t len = piece.len;
  c->stats.received_bytes += len;
  wr_h2_call_set_phase(c, WR_H2_CALL_BODY);
  bool goes_on = c->events.on_data(c->ctx, &c->base, piece);
  if (c->is_ended) return;
  wr_buf_clear(&c->in);
  if (!goes_on) c->is_paused = true;
  set_timer(c);
  if (!c->is_closed) nghttp2_session_consume_stream(c->link->session, c->id, len);
}

// The stream is over, and no complete response has come.
static void fail_stream(struct wr_h2_call *c)
{
  char cause[96];
  if (c->bad == NULL && !c->is_reset && c->code == NGHTTP2_PROTOCOL_ERROR) {
    c->bad = "the response broke the rules of HTTP"; // of a body that is not as long as it says
  }
  if (c->bad != NULL) {
    fail(c, WR_ERROR_PROTOCOL, c->bad);
  } else if (c->code == NGHTTP2_REFUSED_STREAM && go_again(c)) {
    return;
  } else {
    snprintf(cause, sizeof(cause), "the stream was closed before the response was complete (%s)",
             nghttp2_http2_strerror(c->code));
    fail(c, WR_ERROR_RESET, cause);
  }
}

static void step_response(struct wr_h2_call *c)
{
  if (c->has_head && !c->is_told && c->bad == NULL) tell_head(c);
  if (!c->is_ended && c->is_told && !c->is_paused && c->in.len > 0) tell_body(c);
  if (c->is_ended || c->in.len > 0) return;
  if (c->bad == NULL && c->is_told && c->saw_end) {
    complete(c);
  } else if (c->is_closed || c->bad != NULL) {
    fail_stream(c);
  }
}

void wr_h2_call_step(struct wr_h2_call *c)
{
  c->is_busy = true;
  if (c->wants_writable && !c->upload.is_ended && !c->is_ended) {
    c->wants_writable = false;
    c->events.on_writable(c->ctx, &c->base);
  }
  if (!c->is_ended) step_response(c);
  c->is_busy = false;
  if (c->is_ended) free_call(c);
}
