#include "http/exchange_internal.h"

enum { PROBLEM_MAX = 2048 };

const struct wr_exchange_info *wr_exchange_info(const struct wr_exchange *x)
{
  return &x->info;
}

const struct wr_proxy_protocol *wr_exchange_ends(const struct wr_exchange *x)
{
  return x->ops->ends(x);
}

const struct wr_exchange_stats *wr_exchange_stats(const struct wr_exchange *x)
{
  return &x->stats;
}

bool wr_exchange_is_responded(const struct wr_exchange *x)
{
  return x->is_responded;
}

// The request body

bool wr_exchange_is_here(const struct wr_exchange *x)
{
  return x->ops->is_here != NULL && x->ops->is_here(x);
}

void wr_exchange_read(struct wr_exchange *x)
{
  WR_CHECK(x->is_live);
  if (!x->is_reading) x->body_ns = wr_loop_now(x->server->loop);
  x->is_reading = true;
  x->has_read = true;
  if (x->is_expecting && !x->is_responded && x->ops->is_open(x)) {
    x->is_expecting = false;
    x->ops->send_continue(x);
  }
  x->ops->poke(x);
}

static int refusal_status(enum wr_error_kind kind)
{
  if (kind == WR_ERROR_TIMEOUT) return 408;
  return kind == WR_ERROR_TOO_LARGE ? 413 : 400;
}

static void tell_gone(struct wr_exchange *x, enum wr_error_kind kind, const char *text)
{
  x->is_gone = true;
  struct wr_error error;
  wr_error_set(&error, kind, "%s", text);
  x->hooks->on_gone(x->slot, x, &error);
}

void wr_exchange_refuse_body(struct wr_exchange *x, enum wr_error_kind kind, const char *text)
{
  x->is_reading = false;
  x->ops->stop_reading(x);
  if (x->is_responded) {
    // Its head promised something else already: only breaking off can tell the client.
    x->ops->fail(x, kind, text);
    return;
  }
  x->refusal = refusal_status(kind);
  tell_gone(x, kind, text);
}

void wr_exchange_tell_gone(struct wr_exchange *x, enum wr_error_kind kind, const char *text)
{
  if (!x->is_gone && !x->is_ended && !x->is_aborted) tell_gone(x, kind, text);
}

// Takes one piece off the input. False when there is nothing to go on with.
static bool deliver_piece(struct wr_exchange *x)
{
  struct wr_str piece = {NULL, 0};
  if (!x->ops->take(x, &piece)) return false;
  x->stats.received_bytes += piece.len;
  uint64_t max = x->server->options.body_max;
  if (max > 0 && x->stats.received_bytes > max && !x->is_tunnel) {
    wr_exchange_refuse_body(x, WR_ERROR_TOO_LARGE, "the request body is larger than allowed");
    return false;
  }
  if (piece.len == 0) return true;
  // A `read` from inside the hook counts, whatever the hook returns.
  x->is_reading = false;
  if (x->hooks->on_body(x->slot, x, piece)) x->is_reading = true;
  return true;
}

void wr_exchange_deliver(struct wr_exchange *x)
{
  while (x->is_reading && !x->is_gone && !x->is_ended && !x->is_aborted) {
    if (!x->is_body_done) {
      if (!deliver_piece(x)) return;
      continue;
    }
    if (!x->ops->is_open(x)) return;
    x->is_reading = false;
    if (x->is_body_told) return;
    x->is_body_told = true;
    x->hooks->on_body_end(x->slot, x);
  }
}

// The response

// RFC 9110 6.4.1 and 9112 6.3: which responses have a body, and how it ends.
static void plan_body(struct wr_exchange *x, int status, bool has_length, uint64_t length)
{
  bool is_head = wr_str_eq(x->head.method, WR_STR("HEAD"));
  x->is_bodyless = is_head || status == 204 || status == 205 || status == 304;
  if (status == 204 || status == 304 || (is_head && !has_length)) {
    x->framing = WR_FRAMING_NONE;
  } else if (status == 205 || has_length) {
    x->framing = WR_FRAMING_LENGTH;
  } else {
    x->framing = x->head.minor == 0 ? WR_FRAMING_CLOSE : WR_FRAMING_CHUNKED;
  }
  x->left = x->is_bodyless || !has_length ? 0 : length;
}

void wr_exchange_respond(struct wr_exchange *x, int status, const struct wr_headers *headers,
                         bool has_length, uint64_t length)
{
  struct wr_server *s = x->server;
  WR_CHECK(x->is_live && !x->is_responded && !x->is_ended);
  x->is_responded = true;
  if (!x->ops->is_open(x) || x->is_aborted) return;
  plan_body(x, status, has_length, length);
  struct wr_response response = {
      .status = status,
      .headers = headers,
      .framing = x->framing,
      .length = status == 205 ? 0 : length,
      .date = wr_server_date(s),
      .via = s->via,
      .server_name = s->server_name,
      .request_id = x->info.request_id,
  };
  x->stats.status = status;
  x->ops->send_head(x, &response);
  x->ops->poke(x);
}

void wr_exchange_upgrade(struct wr_exchange *x, const struct wr_headers *headers,
                         struct wr_str protocol)
{
  struct wr_server *s = x->server;
  WR_CHECK(x->is_live && !x->is_responded && !x->is_ended && x->is_body_done);
  x->is_responded = true;
  if (!x->ops->is_open(x) || x->is_aborted) return;
  x->is_tunnel = true;
  x->framing = WR_FRAMING_CLOSE;
  x->is_body_done = x->is_body_told = false;
  struct wr_response response = {
      .status = 101,
      .headers = headers,
      .upgrade = protocol,
      .date = wr_server_date(s),
      .via = s->via,
      .server_name = s->server_name,
      .request_id = x->info.request_id,
  };
  x->stats.status = response.status;
  x->ops->send_head(x, &response);
  x->ops->poke(x);
}

bool wr_exchange_write(struct wr_exchange *x, struct wr_str data)
{
  WR_CHECK(x->is_live && x->is_responded && !x->is_ended);
  // The client cannot be reached: have the writer stop; on_gone comes.
  if (!x->ops->is_open(x) || x->is_aborted) return false;
  if (x->is_bodyless) return true;
  if (x->framing == WR_FRAMING_LENGTH) {
    // More than was promised must not leave: the client would take it for the next response.
    if (data.len > x->left) x->has_excess = true;
    if (data.len > x->left) data.len = (size_t)x->left;
    x->left -= data.len;
  }
  if (data.len > 0) {
    x->stats.sent_bytes += data.len;
    x->ops->send(x, data);
  }
  if (x->ops->unsent(x) <= WR_EXCHANGE_HIGH) return true;
  x->wants_writable = true;
  return false;
}

bool wr_exchange_go_on(struct wr_exchange *x)
{
  if (!x->wants_writable || x->is_ended || x->ops->unsent(x) > WR_EXCHANGE_LOW) return false;
  x->wants_writable = false;
  x->hooks->on_writable(x->slot, x);
  return true;
}

void wr_exchange_trailers(struct wr_exchange *x, const struct wr_headers *trailers)
{
  WR_CHECK(x->is_live && !x->is_ended);
  if (x->is_bodyless) return;
  wr_headers_init(&x->trailers, x->info.region, trailers->count);
  for (size_t i = 0; i < trailers->count; i++) {
    const struct wr_header *field = &trailers->items[i];
    if (!wr_headers_is_token(field->name) || !wr_headers_is_value(field->value)) continue;
    if (!wr_headers_is_trailer(field->name)) continue;
    wr_headers_add_copy(&x->trailers, field->name, field->value);
  }
}

void wr_exchange_end(struct wr_exchange *x)
{
  WR_CHECK(x->is_live);
  if (x->is_ended || x->is_aborted) return;
  bool is_open = x->ops->is_open(x);
  if (!x->is_responded && x->is_gone && is_open) {
    wr_exchange_problem(x, x->refusal, "the request body could not be read", false);
    return;
  }
  bool is_short = x->framing == WR_FRAMING_LENGTH && x->left > 0;
  if (is_open && (!x->is_responded || is_short)) {
    wr_exchange_abort(x);
    return;
  }
  x->is_ended = true;
  if (is_open) x->ops->send_end(x);
  x->ops->poke(x);
}

void wr_exchange_abort(struct wr_exchange *x)
{
  WR_CHECK(x->is_live);
  if (x->is_ended || x->is_aborted) return;
  x->is_aborted = true;
  x->ops->poke(x);
}

void wr_exchange_reset(struct wr_exchange *x)
{
  x->ops->reset(x);
  x->ops->poke(x);
}

void wr_exchange_reply(struct wr_exchange *x, int status, const struct wr_headers *headers,
                       struct wr_str body)
{
  wr_exchange_respond(x, status, headers, true, body.len);
  if (body.len > 0) wr_exchange_write(x, body);
  x->is_ended = true;
  if (x->ops->is_open(x) && !x->is_aborted) x->ops->send_end(x);
  x->ops->poke(x);
}

void wr_exchange_problem(struct wr_exchange *x, int status, const char *detail, bool allow)
{
  struct wr_buf body;
  wr_buf_init(&body, PROBLEM_MAX);
  wr_response_problem(&body, status, detail, x->info.request_id);
  struct wr_headers headers;
  wr_headers_init(&headers, x->info.region, 4);
  wr_headers_add(&headers, WR_STR("Content-Type"), WR_STR("application/problem+json"));
  wr_headers_add(&headers, WR_STR("Cache-Control"), WR_STR("no-store"));
  if (allow) {
    wr_headers_add(&headers, WR_STR("Allow"),
                   WR_STR("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
  }
  wr_exchange_reply(x, status, &headers, wr_buf_str(&body));
  wr_buf_fini(&body);
}

void wr_exchange_finish(struct wr_exchange *x)
{
  x->is_live = false;
  x->server->stats.active--;
  x->hooks->on_end(x->slot, x);
}
