#include "script/fetch.h"

#include "base/check.h"
#include "base/decimal.h"
#include "base/duration.h"
#include "http/uri.h"
#include "script/attempt.h"
#include "script/bind_error.h"
#include "script/bind_response.h"
#include "script/hash_key.h"
#include "script/identity.h"
#include "script/introduction.h"
#include "script/meter.h"
#include "script/upgrade.h"

// Defaults of a call that states nothing else (DESIGN §5: nothing can wait for ever).
#define CONNECT_NS (2 * WR_SECOND)
#define BETWEEN_BYTES_NS (30 * WR_SECOND)

enum { GRPC_TIMEOUT_MAX = 99999999 };

bool wr_fetch_is_idempotent(struct wr_str method, const struct wr_headers *headers)
{
  static const struct wr_str idempotent[] = {WR_STR("GET"), WR_STR("HEAD"),   WR_STR("OPTIONS"),
                                             WR_STR("PUT"), WR_STR("DELETE"), WR_STR("TRACE")};
  for (size_t i = 0; i < WR_COUNT(idempotent); i++) {
    if (wr_str_eq(method, idempotent[i])) return true;
  }
  return wr_headers_value(headers, WR_FIELD_IDEMPOTENCY_KEY).ptr != NULL;
}

// --- the transfer's events ----------------------------------------------------------------------

static void note_endpoint(struct wr_response *r)
{
  struct wr_trail *trail = r->op.task ? r->op.task->trail : NULL;
  if (trail == NULL || r->transfer == NULL) return;
  wr_trail_name(trail->endpoint, wr_str_of(wr_transfer_stats(r->transfer)->address));
  trail->upstream_ns += wr_loop_now(r->env->loop) - r->started_ns;
}

// A pooled connection turned out dead, and the request went again: nobody's failure, and yet to be
// seen.
static void note_resent(const struct wr_response *r)
{
  if (r->transfer == NULL || !wr_transfer_stats(r->transfer)->is_resent) return;
  wr_meter_add(r->env->meter, WR_METRIC_UPSTREAM_RESENT, 1, "upstream",
               r->upstream ? r->upstream->name : "", NULL);
}

// A gRPC response whose head has its status has neither messages nor trailers ("Trailers-Only").
// libcurl does not tell that the stream is at its end with this head, and gRPC clients want to see
// just that.
static bool is_trailers_only(const struct wr_transfer_head *head)
{
  return head->minor == 2 && !head->has_length &&
         wr_headers_get(head->headers, WR_STR("grpc-status")).ptr != NULL;
}

static void on_head(void *ctx, struct wr_transfer *t, const struct wr_transfer_head *head)
{
  (void)t;
  struct wr_response *r = ctx;
  bool fits = wr_headers_forwardable(head->headers, &r->headers) && wr_headers_own(&r->headers);
  note_endpoint(r);
  note_resent(r);
  r->status = head->status;
  wr_attempt_answered(r);
  r->has_length = head->has_length || is_trailers_only(head);
  r->length = head->length;
  if (head->status == 101) r->tunnel = r->tunnel_asked;
  if (fits) {
    wr_response_on_head(r);
    return;
  }
  struct wr_error error;
  wr_error_set(&error, WR_ERROR_PROTOCOL, "the response head has more than %d fields",
               WR_RESPONSE_HEADERS_MAX);
  wr_transfer_cancel(r->transfer);
  wr_response_on_end(r, &error);
}

static bool on_data(void *ctx, struct wr_transfer *t, struct wr_str data)
{
  (void)t;
  return wr_response_on_data(ctx, data);
}

static void on_writable(void *ctx, struct wr_transfer *t)
{
  (void)t;
  struct wr_response *r = ctx;
  if (r->upload) wr_request_upload_writable(r->upload);
}

// Those that find no room are left out: they are not the content.
static void on_trailers(void *ctx, struct wr_transfer *t, const struct wr_headers *trailers)
{
  (void)t;
  struct wr_response *r = ctx;
  wr_headers_init(&r->trailers, &r->region, WR_RESPONSE_HEADERS_MAX);
  for (size_t i = 0; i < trailers->count; i++) {
    wr_headers_add_copy(&r->trailers, trailers->items[i].name, trailers->items[i].value);
  }
}

static void on_end(void *ctx, struct wr_transfer *t, const struct wr_error *error)
{
  (void)t;
  struct wr_response *r = ctx;
  if (r->status == 0) {
    note_endpoint(r);
    note_resent(r);
  }
  wr_response_on_end(r, error);
}

static const struct wr_transfer_events events = {on_head, on_data, on_writable, on_trailers,
                                                 on_end};

// --- the waiting script -------------------------------------------------------------------------

static void fail(struct wr_response *r, struct wr_task *t)
{
  wr_attempt_failed(r, t, r->error.kind);
  if (t->trail) wr_trail_error(t->trail, &r->error);
  lua_pushnil(t->co);
  r->error.retryable = r->error.retryable && r->is_replayable;
  wr_bind_error_push(t->co, &r->error);
  if (r->upstream) {
    lua_pushstring(t->co, r->upstream->name);
    lua_setfield(t->co, -2, "upstream");
  }
  if (t->trail && t->trail->endpoint[0]) {
    lua_pushstring(t->co, t->trail->endpoint);
    lua_setfield(t->co, -2, "endpoint");
  }
  wr_task_resume(t, 2);
}

static void on_ready(struct wr_response *r)
{
  struct wr_task *t = r->op.task;
  r->op.task = NULL;
  if (r->state == WR_RESPONSE_BROKEN) {
    fail(r, t);
    return;
  }
  wr_bind_response_push(t->co, r);
  wr_task_resume(t, 1);
}

static void cancel_op(struct wr_op *op)
{
  struct wr_response *r = WR_CONTAINER(op, struct wr_response, op);
  r->on_ready = NULL;
  wr_attempt_failed(r, op->task, WR_ERROR_CANCELLED);
  op->task = NULL;
  wr_response_cancel(r);
}

// The request may have been sent by now: whether it may be sent again is the method's business.
static void fail_op(struct wr_op *op, const struct wr_error *error)
{
  struct wr_response *r = WR_CONTAINER(op, struct wr_response, op);
  struct wr_task *t = op->task;
  op->task = NULL;
  r->on_ready = NULL;
  struct wr_error known = *error;
  known.sent = WR_SENT_HEAD;
  known.retryable = r->is_idempotent;
  wr_response_fail(r, &known);
  fail(r, t);
}

// --- the request head ---------------------------------------------------------------------------

// Both in one piece; absent when the region is full.
static struct wr_str join(struct wr_region *region, struct wr_str a, struct wr_str b)
{
  char *text = wr_region_take(region, a.len + b.len);
  if (text == NULL) return (struct wr_str){NULL, 0};
  if (a.len > 0) memcpy(text, a.ptr, a.len);
  if (b.len > 0) memcpy(text + a.len, b.ptr, b.len);
  return (struct wr_str){text, a.len + b.len};
}

// Values outlive the call, which copies them.
static void put(struct wr_headers *out, enum wr_field field, struct wr_str value)
{
  if (value.len > 0) wr_headers_put(out, field, value);
}

// A number and, unless it is NUL, a unit behind it.
static void put_number(struct wr_headers *out, enum wr_field field, uint64_t value, char unit)
{
  char *text = wr_region_take(out->region, WR_DECIMAL_SIZE + 1);
  if (text == NULL) return;
  size_t len = wr_decimal_write(text, value);
  if (unit != '\0') text[len++] = unit;
  put(out, field, (struct wr_str){text, len});
}

// Adds to the list a trusted proxy sent, or begins one: `value` is the last element.
static void append(struct wr_headers *out, enum wr_field field, struct wr_str value)
{
  struct wr_str before = wr_headers_value(out, field);
  if (before.len > 0) value = join(out->region, join(out->region, before, WR_STR(", ")), value);
  put(out, field, value);
}

// What clients must not say of themselves.
static const enum wr_field claims[] = {WR_FIELD_X_FORWARDED_FOR,  WR_FIELD_X_FORWARDED_PROTO,
                                       WR_FIELD_X_FORWARDED_HOST, WR_FIELD_X_FORWARDED_PORT,
                                       WR_FIELD_X_REAL_IP,        WR_FIELD_FORWARDED};

// Who asked, in our own words: what a client claims about it passes only behind a trusted proxy
// (research/gateways.md §4.20).
static void add_forwarded(struct wr_headers *out, const struct wr_request *q)
{
  bool is_trusted = q->trust && wr_networks_has(q->trust, q->info->client);
  for (size_t i = 0; !is_trusted && i < WR_COUNT(claims); i++) wr_headers_drop(out, claims[i]);
  wr_identity_tell(out, q->info->tls);
  // A peer on a Unix socket has no address, and one that is trusted has named its client already.
  if (!wr_str_eq(q->info->client, WR_STR("unix"))) {
    append(out, WR_FIELD_X_FORWARDED_FOR, q->info->client);
  }
  if (wr_headers_value(out, WR_FIELD_X_FORWARDED_PROTO).ptr == NULL) {
    put(out, WR_FIELD_X_FORWARDED_PROTO, q->info->scheme);
  }
  if (wr_headers_value(out, WR_FIELD_X_FORWARDED_HOST).ptr == NULL) {
    put(out, WR_FIELD_X_FORWARDED_HOST, q->info->head->host);
  }
  put(out, WR_FIELD_X_REQUEST_ID, q->info->request_id);
  struct wr_str via = join(out->region, q->info->version, WR_STR(" weir"));
  if (via.ptr) append(out, WR_FIELD_VIA, via);
}

// What is left of the deadline, also in the words of gRPC to who speaks them: at most 8 digits.
static void add_deadline(struct wr_headers *out, const struct wr_task *t)
{
  wr_headers_drop(out, WR_FIELD_X_REQUEST_DEADLINE_MS);
  uint64_t left = wr_task_remaining(t);
  if (left == UINT64_MAX) return;
  left /= WR_MS;
  put_number(out, WR_FIELD_X_REQUEST_DEADLINE_MS, left, '\0');
  if (wr_headers_value(out, WR_FIELD_GRPC_TIMEOUT).ptr == NULL) return;
  put_number(out, WR_FIELD_GRPC_TIMEOUT, left < GRPC_TIMEOUT_MAX ? left : GRPC_TIMEOUT_MAX, 'm');
}

// In the word that trusted proxies use, so that the next weir knows it too.
static void add_priority(struct wr_headers *out, const struct wr_task *t,
                         const struct wr_request *q)
{
  if (q->priority_header == NULL) return;
  const char *word = wr_priority_name((enum wr_priority)t->priority);
  wr_headers_set(out, wr_str_of(q->priority_header), wr_str_of(word));
}

// What is forwarded bears the client's fields already, and what a script says itself holds. The
// span of an attempt is the one that the request's trail will show it under.
static void add_trace(struct wr_headers *out, const struct wr_task *t, const struct wr_request *q)
{
  const struct wr_trail *trail = t->trail ? t->trail : q ? &q->trail : NULL;
  const struct wr_trace *trace = trail ? trail->trace : NULL;
  if (trace == NULL || (q != NULL && !trace->is_ours)) return;
  if (q == NULL && wr_headers_value(out, WR_FIELD_TRACEPARENT).ptr != NULL) return;
  char span[WR_TRACE_SPAN_TEXT];
  bool has_own = trace->is_ours && t->trail != NULL;
  if (has_own) wr_trace_child(trace, t->trail->attempts + 1, span);
  wr_trace_tell(trace, has_own ? span : trace->context.span_id, out);
}

static bool build_headers(struct wr_task *t, const struct wr_fetch *fetch, struct wr_response *r,
                          struct wr_headers *out)
{
  wr_headers_init(out, &r->region, WR_RESPONSE_HEADERS_MAX + 16);
  if (!wr_headers_forwardable(fetch->headers, out)) return false;
  wr_headers_drop(out, WR_FIELD_HOST);
  wr_headers_drop(out, WR_FIELD_EXPECT);
  if (fetch->request) {
    add_forwarded(out, fetch->request);
    add_priority(out, t, fetch->request);
  }
  add_trace(out, t, fetch->request);
  add_deadline(out, t);
  return true;
}

// --- where to -----------------------------------------------------------------------------------

static bool pick(struct wr_task *t, const struct wr_fetch *fetch, struct wr_upstream_choice *out,
                 struct wr_error *error)
{
  struct wr_script_env *env = t->script->env;
  struct wr_upstream *u = fetch->upstream;
  struct wr_balance_ask ask = {.rng = env->rng, .now_ns = wr_loop_now(env->loop)};
  struct wr_str key = fetch->key;
  if (fetch->request) {
    ask.tried = &fetch->request->tried;
    if (key.ptr == NULL) key = wr_hash_key_of(&u->key, fetch->request);
  } else if (t->attempts) {
    ask.tried = &t->attempts->tried;
  }
  ask.has_hash = key.ptr != NULL;
  if (ask.has_hash) ask.hash = wr_hash_fnv(0, key);
  return wr_upstream_pick(u, &ask, out, error);
}

static bool aim_at_endpoint(struct wr_task *t, const struct wr_fetch *fetch, struct wr_response *r,
                            struct wr_transfer_request *request, struct wr_error *error)
{
  struct wr_upstream *u = fetch->upstream;
  if (!pick(t, fetch, &r->choice, error)) return false;
  const struct wr_endpoint *endpoint = r->choice.endpoint;
  u->refs++;
  r->upstream = u;
  request->is_https = endpoint->is_https;
  request->host = wr_str_of(endpoint->host);
  request->port = endpoint->port;
  request->authority = wr_str_of(endpoint->authority);
  if (u->host == WR_HOST_CLIENT && fetch->request && fetch->request->info->head->host.len > 0) {
    request->authority = fetch->request->info->head->host;
  }
  request->target = fetch->target;
  if (endpoint->prefix[0] != '\0') {
    request->target = join(&r->region, wr_str_of(endpoint->prefix), fetch->target);
  }
  request->tls = u->tls;
  request->http = u->http;
  request->preamble = wr_introduction(u, fetch->request, &r->region);
  request->pool_idle_ns = u->pool_idle_ns;
  request->timeouts.connect_ns = u->connect_ns;
  request->timeouts.first_byte_ns = u->first_byte_ns;
  request->timeouts.between_bytes_ns = u->between_bytes_ns;
  request->tunnel_idle_ns = u->tunnel_idle_ns;
  request->tunnel_total_ns = u->tunnel_total_ns;
  if (fetch->request && !wr_upgrade_choose(u, fetch->request, &request->upgrade, error))
    return false;
  r->tunnel_asked = request->upgrade;
  // Not its address, at which another request may be by then.
  if (r->tunnel_asked.len > 0) {
    r->tunnel_key = fetch->request->tunnel_key = wr_rng_next(t->script->env->rng) | 1;
  }
  if (t->trail) {
    wr_trail_name(t->trail->upstream, wr_str_of(u->name));
    wr_trail_name(t->trail->endpoint, wr_str_of(endpoint->authority));
  }
  return true;
}

static void aim_at_uri(struct wr_task *t, const struct wr_fetch *fetch, struct wr_response *r,
                       struct wr_transfer_request *request)
{
  request->preamble = wr_introduction(fetch->like, NULL, &r->region);
  request->is_guarded = !fetch->is_trusted;
  if (fetch->like) {
    request->tls = fetch->like->tls;
    request->http = fetch->like->http;
  }
  request->is_https = fetch->uri->is_https;
  request->host = fetch->uri->host;
  request->port = fetch->uri->port;
  request->authority = fetch->uri->authority;
  request->target = fetch->target;
  request->timeouts.connect_ns = CONNECT_NS;
  request->timeouts.between_bytes_ns = BETWEEN_BYTES_NS;
  if (t->trail) wr_trail_name(t->trail->endpoint, fetch->uri->authority);
}

static void choose_body(const struct wr_fetch *fetch, struct wr_transfer_request *request)
{
  if (fetch->body.ptr != NULL) {
    request->body_kind = WR_TRANSFER_BODY_BYTES;
    request->body = fetch->body;
  } else if (fetch->request && wr_request_has_body(fetch->request)) {
    const struct wr_head *head = fetch->request->info->head;
    request->body_kind = WR_TRANSFER_BODY_STREAM;
    request->has_length = head->framing == WR_FRAMING_LENGTH;
    request->length = head->content_length;
  }
}

// A request whose body streams past can be sent once only.
static void judge(struct wr_response *r, const struct wr_fetch *fetch,
                  const struct wr_transfer_request *request)
{
  bool is_stream = request->body_kind == WR_TRANSFER_BODY_STREAM;
  r->is_idempotent = !is_stream && wr_fetch_is_idempotent(fetch->method, request->headers);
  r->is_replayable = !is_stream;
}

// Whether a hedge may send it; else the call it belongs to is not hedged from now on.
static bool may_send(struct wr_task *t, const struct wr_response *r)
{
  if (r->is_idempotent) return true;
  for (struct wr_attempts *a = t->attempts; a; a = a->outer) a->is_unsafe = true;
  return !t->is_extra;
}

static void launch(struct wr_response *r, const struct wr_fetch *fetch,
                   struct wr_transfer_request *request)
{
  bool is_stream = request->body_kind == WR_TRANSFER_BODY_STREAM;
  request->is_idempotent = r->is_idempotent;
  request->is_fresh = !r->is_idempotent && r->upstream && r->upstream->keeps_fresh;
  request->takes_trailers = wr_headers_may_have(fetch->headers, WR_FIELD_TE) &&
                            wr_headers_has_token(fetch->headers, WR_STR("TE"), WR_STR("trailers"));
  request->ctx = r;
  request->events = &events;
  r->transfer = wr_transfer_start(r->env->transport, request);
  if (is_stream) wr_request_start_upload(fetch->request, r);
}

struct wr_response *wr_fetch_start(struct wr_task *t, const struct wr_fetch *fetch,
                                   struct wr_error *error)
{
  struct wr_script_env *env = t->script->env;
  struct wr_response *r = wr_response_new(env, t, fetch->body_max);
  struct wr_headers headers;
  r->is_upstream = true;
  r->wants_whole = fetch->wants_whole;
  r->started_ns = wr_loop_now(env->loop);
  r->op =
      (struct wr_op){.name = "the upstream call", .task = t, .cancel = cancel_op, .fail = fail_op};
  r->on_ready = on_ready;
  struct wr_transfer_request request = {.method = fetch->method, .headers = &headers};
  if (fetch->upstream == NULL) {
    aim_at_uri(t, fetch, r, &request);
  } else if (!aim_at_endpoint(t, fetch, r, &request, error)) {
    wr_attempt_refused(t, fetch->upstream->name, error);
    wr_response_cancel(r);
    return NULL;
  }
  choose_body(fetch, &request);
  if (!build_headers(t, fetch, r, &headers) || request.target.ptr == NULL) {
    wr_error_set(error, WR_ERROR_TOO_LARGE, "the request head has more than %d fields or %d bytes",
                 (int)headers.max, WR_RESPONSE_REGION_MAX);
    wr_response_cancel(r);
    return NULL;
  }
  judge(r, fetch, &request);
  if (!may_send(t, r)) {
    wr_error_set(error, WR_ERROR_REFUSED, "a hedge may not repeat a %.*s that can do harm twice",
                 WR_STR_ARG(fetch->method));
    wr_response_cancel(r);
    return NULL;
  }
  if (t->trail) t->trail->attempts++;
  wr_attempt_begin(r, t, &request);
  launch(r, fetch, &request);
  return r;
}
