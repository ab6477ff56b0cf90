#include "script/fetch.h"

#include "base/check.h"
#include "base/decimal.h"
#include "base/duration.h"
#include "http/uri.h"
#include "script/bind_error.h"
#include "script/bind_response.h"
#include "script/hash_key.h"
#include "script/identity.h"
#include "script/meter.h"
#include "script/upgrade.h"

// Defaults of a call that states nothing else (DESIGN §5: nothing can wait for ever).
#define CONNECT_NS (2 * WR_SECOND)
#define BETWEEN_BYTES_NS (30 * WR_SECOND)

bool wr_fetch_is_idempotent(struct wr_str method, const struct wr_headers *headers)
{
  static const char *const idempotent[] = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"};
  for (size_t i = 0; i < WR_COUNT(idempotent); i++) {
    if (wr_str_eq(method, wr_str_of(idempotent[i]))) return true;
  }
  return wr_headers_get(headers, WR_STR("Idempotency-Key")).ptr != NULL;
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

static void on_head(void *ctx, struct wr_transfer *t, const struct wr_transfer_head *head)
{
  (void)t;
  struct wr_response *r = ctx;
  bool fits = wr_headers_forwardable(head->headers, &r->headers) && wr_headers_own(&r->headers);
  note_endpoint(r);
  note_resent(r);
  r->status = head->status;
  r->has_length = head->has_length;
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

// Names are constant text; values outlive the call, which copies them.
static void add(struct wr_headers *out, const char *name, struct wr_str value)
{
  if (value.len > 0) wr_headers_set(out, wr_str_of(name), value);
}

static void add_number(struct wr_headers *out, const char *name, uint64_t value)
{
  char *text = wr_region_take(out->region, WR_DECIMAL_SIZE);
  if (text != NULL) add(out, name, (struct wr_str){text, wr_decimal_write(text, value)});
}

// Adds to the list a trusted proxy sent, or begins one: `value` is the last element.
static void append(struct wr_headers *out, const char *name, struct wr_str value)
{
  struct wr_str before = wr_headers_get(out, wr_str_of(name));
  if (before.len > 0) value = join(out->region, join(out->region, before, WR_STR(", ")), value);
  add(out, name, value);
}

// Who asked, in our own words: what a client claims about it passes only behind a trusted proxy
// (research/gateways.md §4.20).
static void add_forwarded(struct wr_headers *out, const struct wr_request *q)
{
  static const char *const claims[] = {"X-Forwarded-For",  "X-Forwarded-Proto", "X-Forwarded-Host",
                                       "X-Forwarded-Port", "X-Real-IP",         "Forwarded"};
  bool is_trusted = q->trust && wr_networks_has(q->trust, q->info->client);
  for (size_t i = 0; !is_trusted && i < WR_COUNT(claims); i++) {
    wr_headers_remove(out, wr_str_of(claims[i]));
  }
  wr_identity_tell(out, q->info->tls);
  // A peer on a Unix socket has no address, and one that is trusted has named its client already.
  if (!wr_str_eq(q->info->client, WR_STR("unix"))) {
    append(out, "X-Forwarded-For", q->info->client);
  }
  if (wr_headers_get(out, WR_STR("X-Forwarded-Proto")).ptr == NULL) {
    add(out, "X-Forwarded-Proto", q->info->scheme);
  }
  if (wr_headers_get(out, WR_STR("X-Forwarded-Host")).ptr == NULL) {
    add(out, "X-Forwarded-Host", q->info->head->host);
  }
  add(out, "X-Request-ID", q->info->request_id);
  struct wr_str via = join(out->region, q->info->version, WR_STR(" weir"));
  if (via.ptr) append(out, "Via", via);
}

static void add_deadline(struct wr_headers *out, const struct wr_task *t)
{
  wr_headers_remove(out, WR_STR("X-Request-Deadline-Ms"));
  uint64_t left = wr_task_remaining(t);
  if (left != UINT64_MAX) add_number(out, "X-Request-Deadline-Ms", left / WR_MS);
}

// In the word that trusted proxies use, so that the next weir knows it too.
static void add_priority(struct wr_headers *out, const struct wr_task *t,
                         const struct wr_request *q)
{
  if (q->priority_header == NULL) return;
  const char *word = wr_priority_name((enum wr_priority)t->priority);
  add(out, q->priority_header, wr_str_of(word));
}

static bool build_headers(struct wr_task *t, const struct wr_fetch *fetch, struct wr_response *r,
                          struct wr_headers *out)
{
  wr_headers_init(out, &r->region, WR_RESPONSE_HEADERS_MAX + 16);
  if (!wr_headers_forwardable(fetch->headers, out)) return false;
  wr_headers_remove(out, WR_STR("Host"));
  wr_headers_remove(out, WR_STR("Expect"));
  if (fetch->request) {
    add_forwarded(out, fetch->request);
    add_priority(out, t, fetch->request);
  }
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

static void aim_at_uri(struct wr_task *t, const struct wr_fetch *fetch,
                       struct wr_transfer_request *request)
{
  request->is_guarded = !fetch->is_trusted;
  request->tls = fetch->tls;
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
  request->takes_trailers = wr_headers_has_token(fetch->headers, WR_STR("TE"), WR_STR("trailers"));
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
    aim_at_uri(t, fetch, &request);
  } else if (!aim_at_endpoint(t, fetch, r, &request, error)) {
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
  launch(r, fetch, &request);
  return r;
}
