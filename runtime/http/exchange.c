#include "http/exchange.h"

#include "http/output.h"
#include "http/response.h"

enum { PROBLEM_MAX = 2048 };

const struct wr_exchange_info *wr_exchange_info(const struct wr_exchange *x)
{
  return &x->info;
}

const struct wr_exchange_stats *wr_exchange_stats(const struct wr_exchange *x)
{
  return &x->stats;
}

bool wr_exchange_is_responded(const struct wr_exchange *x)
{
  return x->is_responded;
}

static bool is_open(const struct wr_connection *c)
{
  return c->state == WR_CONNECTION_EXCHANGE && !c->failure;
}

// The request body

void wr_exchange_read(struct wr_exchange *x)
{
  struct wr_connection *c = wr_exchange_connection(x);
  WR_CHECK(x->is_live);
  if (!x->is_reading) x->body_ns = wr_loop_now(c->server->loop);
  x->is_reading = true;
  x->has_read = true;
  if (x->is_expecting && !x->is_responded && is_open(c)) {
    x->is_expecting = false;
    wr_output_send(c, &WR_STR("HTTP/1.1 100 Continue\r\n\r\n"), 1);
  }
  wr_connection_poke(c);
}

static int refusal_status(enum wr_error_kind kind)
{
  if (kind == WR_ERROR_TIMEOUT) return 408;
  return kind == WR_ERROR_TOO_LARGE ? 413 : 400;
}

void wr_exchange_refuse_body(struct wr_exchange *x, enum wr_error_kind kind, const char *text)
{
  struct wr_connection *c = wr_exchange_connection(x);
  x->is_reading = false;
  c->must_close = true;
  if (x->is_responded) {
    // Its head promised something else already: only breaking off can tell the client.
    wr_connection_fail(c, kind, text);
    return;
  }
  x->is_gone = true;
  x->refusal = refusal_status(kind);
  struct wr_error error;
  wr_error_set(&error, kind, "%s", text);
  x->hooks->on_gone(x->slot, x, &error);
}

// Takes one piece off the input. False when there is nothing to go on with.
static bool deliver_piece(struct wr_connection *c, struct wr_exchange *x)
{
  if (c->view.len == 0) {
    if (c->saw_fin) {
      wr_connection_fail(c, WR_ERROR_CANCELLED,
                         "the client left in the middle of the request body");
    }
    return false;
  }
  size_t used = 0;
  struct wr_str piece = {NULL, 0};
  enum wr_body_status status = wr_body_feed(&x->body, c->view.ptr, c->view.len, &used, &piece);
  wr_connection_consume(c, used);
  if (status == WR_BODY_BAD) {
    c->server->stats.bad_requests++;
    wr_exchange_refuse_body(x, WR_ERROR_INVALID, x->body.reason);
    return false;
  }
  WR_CHECK(used > 0 || status == WR_BODY_DONE);
  x->is_body_done = status == WR_BODY_DONE;
  x->stats.received_bytes += piece.len;
  uint64_t max = c->server->options.body_max;
  if (max > 0 && x->stats.received_bytes > max) {
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
  struct wr_connection *c = wr_exchange_connection(x);
  while (x->is_reading && !x->is_gone && !x->is_ended && !x->is_aborted && !c->failure) {
    if (!x->is_body_done) {
      if (!deliver_piece(c, x)) return;
      continue;
    }
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

// May the connection serve another request after this one, as far as can be told now?
static bool may_keep(const struct wr_connection *c, const struct wr_exchange *x)
{
  if (!x->head.keep_alive || c->must_close || x->framing == WR_FRAMING_CLOSE) return false;
  if (x->is_body_done) return true;
  // A client that waits for 100 may send the body or not: its next bytes would be ambiguous.
  if (x->is_expecting) return false;
  bool is_large = x->body.framing == WR_FRAMING_LENGTH && x->body.left > WR_CONNECTION_DISCARD;
  return x->has_read || !is_large;
}

void wr_exchange_respond(struct wr_exchange *x, int status, const struct wr_headers *headers,
                         bool has_length, uint64_t length)
{
  struct wr_connection *c = wr_exchange_connection(x);
  struct wr_server *s = c->server;
  WR_CHECK(x->is_live && !x->is_responded && !x->is_ended);
  x->is_responded = true;
  if (!is_open(c) || x->is_aborted) return;
  plan_body(x, status, has_length, length);
  x->keep_alive = may_keep(c, x);
  const struct wr_response response = {
      .status = status,
      .headers = headers,
      .framing = x->framing,
      .length = status == 205 ? 0 : length,
      .is_close = !x->keep_alive,
      .is_keep_alive = x->keep_alive && x->head.minor == 0,
      .date = wr_server_date(s),
      .via = s->via,
      .server_name = s->server_name,
      .request_id = x->info.request_id,
  };
  if (!wr_response_write(&response, &c->out)) {
    wr_connection_fail(c, WR_ERROR_TOO_LARGE, "the response head is too large");
  }
  x->stats.status = status;
  x->head_left = c->out.len;
  wr_connection_poke(c);
}

static void send_piece(struct wr_exchange *x, struct wr_str data)
{
  struct wr_connection *c = wr_exchange_connection(x);
  if (x->framing != WR_FRAMING_CHUNKED) {
    wr_output_send(c, &data, 1);
    return;
  }
  char line[WR_BODY_CHUNK_HEAD_MAX];
  struct wr_str chunk[] = {{line, wr_body_chunk_head(line, data.len)}, data, WR_STR("\r\n")};
  wr_output_send(c, chunk, 3);
}

bool wr_exchange_write(struct wr_exchange *x, struct wr_str data)
{
  struct wr_connection *c = wr_exchange_connection(x);
  WR_CHECK(x->is_live && x->is_responded && !x->is_ended);
  // The socket failed: have the writer stop; on_gone comes.
  if (!is_open(c) || x->is_aborted) return false;
  if (x->is_bodyless) return true;
  if (x->framing == WR_FRAMING_LENGTH) {
    // More than was promised must not leave: the client would take it for the next response.
    if (data.len > x->left) x->has_excess = true;
    if (data.len > x->left) data.len = (size_t)x->left;
    x->left -= data.len;
  }
  if (data.len > 0) {
    x->stats.sent_bytes += data.len;
    send_piece(x, data);
  }
  if (c->out.len <= WR_CONNECTION_HIGH) return true;
  x->wants_writable = true;
  return false;
}

void wr_exchange_end(struct wr_exchange *x)
{
  struct wr_connection *c = wr_exchange_connection(x);
  WR_CHECK(x->is_live);
  if (x->is_ended || x->is_aborted) return;
  if (!x->is_responded && x->is_gone && is_open(c)) {
    wr_exchange_problem(x, x->refusal, "the request body could not be read", false);
    return;
  }
  bool is_short = x->framing == WR_FRAMING_LENGTH && x->left > 0;
  if (is_open(c) && (!x->is_responded || is_short)) {
    wr_exchange_abort(x);
    return;
  }
  x->is_ended = true;
  if (is_open(c) && x->framing == WR_FRAMING_CHUNKED && !x->is_bodyless) {
    wr_output_send(c, &WR_STR("0\r\n\r\n"), 1);
  }
  wr_connection_poke(c);
}

void wr_exchange_abort(struct wr_exchange *x)
{
  WR_CHECK(x->is_live);
  if (x->is_ended || x->is_aborted) return;
  x->is_aborted = true;
  wr_connection_poke(wr_exchange_connection(x));
}

void wr_exchange_reset(struct wr_exchange *x)
{
  struct wr_connection *c = wr_exchange_connection(x);
  c->must_reset = true;
  wr_connection_fail(c, WR_ERROR_CANCELLED, "the connection was reset on purpose");
  wr_connection_poke(c);
}

void wr_exchange_reply(struct wr_exchange *x, int status, const struct wr_headers *headers,
                       struct wr_str body)
{
  wr_exchange_respond(x, status, headers, true, body.len);
  if (body.len > 0) wr_exchange_write(x, body);
  x->is_ended = true;
  wr_connection_poke(wr_exchange_connection(x));
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
