#include "http/h1.h"

#include "http/output.h"

static bool is_open(const struct wr_exchange *x)
{
  const struct wr_connection *c = wr_h1_connection(x);
  return c->state == WR_CONNECTION_EXCHANGE && !c->failure;
}

static void poke(struct wr_exchange *x)
{
  wr_connection_poke(wr_h1_connection(x));
}

static void fail(struct wr_exchange *x, enum wr_error_kind kind, const char *text)
{
  wr_connection_fail(wr_h1_connection(x), kind, text);
}

static void reset(struct wr_exchange *x)
{
  struct wr_connection *c = wr_h1_connection(x);
  c->must_reset = true;
  wr_connection_fail(c, WR_ERROR_CANCELLED, "the connection was reset on purpose");
}

// The request

static void stop_reading(struct wr_exchange *x)
{
  wr_h1_connection(x)->must_close = true;
}

static bool take(struct wr_exchange *x, struct wr_str *piece)
{
  struct wr_connection *c = wr_h1_connection(x);
  if (c->failure) return false;
  if (c->ws->view.len == 0) {
    if (c->saw_fin && x->is_tunnel) {
      x->is_body_done = true;
      return true;
    }
    if (c->saw_fin) {
      wr_connection_fail(c, WR_ERROR_CANCELLED,
                         "the client left in the middle of the request body");
    }
    return false;
  }
  size_t used = 0;
  enum wr_body_status status =
      wr_body_feed(&c->ws->body, c->ws->view.ptr, c->ws->view.len, &used, piece);
  wr_connection_consume(c, used);
  if (status == WR_BODY_BAD) {
    c->server->stats.bad_requests++;
    wr_exchange_refuse_body(x, WR_ERROR_INVALID, c->ws->body.reason);
    return false;
  }
  WR_CHECK(used > 0 || status == WR_BODY_DONE);
  x->is_body_done = status == WR_BODY_DONE;
  return true;
}

static void send_continue(struct wr_exchange *x)
{
  wr_output_send(wr_h1_connection(x), &WR_STR("HTTP/1.1 100 Continue\r\n\r\n"), 1);
}

// The response

// May the connection serve another request after this one, as far as can be told now?
static bool may_keep(const struct wr_connection *c)
{
  const struct wr_exchange *x = &c->ws->x;
  bool is_last = c->must_close || c->server->is_retiring;
  if (!x->head.keep_alive || is_last || x->framing == WR_FRAMING_CLOSE) return false;
  if (x->is_body_done) return true;
  // A client that waits for 100 may send the body or not: its next bytes would be ambiguous.
  if (x->is_expecting) return false;
  bool is_large =
      c->ws->body.framing == WR_FRAMING_LENGTH && c->ws->body.left > WR_CONNECTION_DISCARD;
  return x->has_read || !is_large;
}

static void send_head(struct wr_exchange *x, struct wr_response *response)
{
  struct wr_connection *c = wr_h1_connection(x);
  if (x->is_tunnel) wr_body_init(&c->ws->body, WR_FRAMING_CLOSE, 0);
  c->ws->keep_alive = may_keep(c);
  response->is_close = !c->ws->keep_alive;
  response->is_keep_alive = c->ws->keep_alive && x->head.minor == 0;
  if (!wr_response_write(response, &c->ws->out)) {
    wr_connection_fail(c, WR_ERROR_TOO_LARGE, "the response head is too large");
  }
  c->ws->head_left = c->ws->out.len;
}

static void send_body(struct wr_exchange *x, struct wr_str data)
{
  struct wr_connection *c = wr_h1_connection(x);
  if (x->framing != WR_FRAMING_CHUNKED) {
    wr_output_send(c, &data, 1);
    return;
  }
  char line[WR_BODY_CHUNK_HEAD_MAX];
  struct wr_str chunk[] = {{line, wr_body_chunk_head(line, data.len)}, data, WR_STR("\r\n")};
  wr_output_send(c, chunk, 3);
}

static void send_trailers(struct wr_connection *c)
{
  const struct wr_headers *headers = &c->ws->x.head.headers;
  if (!wr_headers_has_token(headers, WR_STR("TE"), WR_STR("trailers"))) return;
  for (size_t i = 0; i < c->ws->x.trailers.count; i++) {
    const struct wr_header *field = &c->ws->x.trailers.items[i];
    struct wr_str line[] = {field->name, WR_STR(": "), field->value, WR_STR("\r\n")};
    wr_output_send(c, line, 4);
  }
}

static void send_end(struct wr_exchange *x)
{
  struct wr_connection *c = wr_h1_connection(x);
  if (x->framing != WR_FRAMING_CHUNKED || x->is_bodyless) return;
  wr_output_send(c, &WR_STR("0\r\n"), 1);
  if (x->trailers.count > 0) send_trailers(c);
  wr_output_send(c, &WR_STR("\r\n"), 1);
}

static size_t unsent(const struct wr_exchange *x)
{
  return wr_output_unsent(wr_h1_connection(x));
}

static const struct wr_proxy_protocol *ends(const struct wr_exchange *x)
{
  return wr_ends_of(wr_h1_connection(x));
}

const struct wr_exchange_ops wr_h1_ops = {
    .take = take,
    .stop_reading = stop_reading,
    .send_continue = send_continue,
    .send_head = send_head,
    .send = send_body,
    .send_end = send_end,
    .unsent = unsent,
    .is_open = is_open,
    .fail = fail,
    .reset = reset,
    .ends = ends,
    .poke = poke,
};
