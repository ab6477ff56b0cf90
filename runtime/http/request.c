#include "http/request.h"

#include "http/h1.h"
#include "http/h2.h"
#include "http/judge.h"
#include "http/tls_session.h"

enum { SMALL = 1024 }; // what came is copied whole up to so many bytes

// The exchange of a head that was read into it, or of none.
static void open_exchange(struct wr_connection *c)
{
  struct wr_workspace *ws = c->ws;
  struct wr_exchange *x = &ws->x;
  x->ops = &wr_h1_ops;
  x->server = c->server;
  x->info = (struct wr_exchange_info){
      .region = &ws->region,
      .client = wr_str_of(c->peer.text),
      .client_port = c->peer.port,
      .scheme = c->channel.tls ? WR_STR("https") : WR_STR("http"),
      .tls = c->channel.tls ? wr_tls_session_facts(&c->channel) : NULL,
      .version = x->head.minor == 0 ? WR_STR("1.0") : WR_STR("1.1"),
      .start_ns = c->since_ns,
  };
  c->is_h1 = true;
  ws->head_left = 0;
  ws->keep_alive = false;
  ws->scanned = 0;
  c->state = WR_CONNECTION_EXCHANGE;
}

void wr_request_refuse(struct wr_connection *c, int status, const char *detail)
{
  struct wr_workspace *ws = c->ws;
  wr_region_clear(&ws->region);
  // Nothing of what was not understood is used but this: an answer to HEAD has no body.
  bool is_head = c->ws->view.len >= 5 && memcmp(c->ws->view.ptr, "HEAD ", 5) == 0;
  ws->x = (struct wr_exchange){.is_body_done = true};
  ws->x.head.minor = 1;
  if (is_head) ws->x.head.method = WR_STR("HEAD");
  ws->x.head.headers.region = &ws->region;
  open_exchange(c);
  wr_judge_refuse(&ws->x, status, detail);
}

// Parsing

static enum wr_parser_status parse_at(struct wr_connection *c, struct wr_str bytes, size_t *used,
                                      struct wr_parser_error *error)
{
  struct wr_workspace *ws = c->ws;
  ws->x = (struct wr_exchange){0};
  return wr_parser_request(bytes.ptr, bytes.len, &c->server->options.limits, &ws->region,
                           &ws->x.head, used, error);
}

// The length of input up to and with the first empty line, or 0.
static size_t find_end(const struct wr_connection *c)
{
  size_t at = c->ws->scanned;
  const char *lf;
  while ((lf = memchr(c->ws->view.ptr + at, '\n', c->ws->view.len - at)) != NULL) {
    at = (size_t)(lf - c->ws->view.ptr) + 1;
    if (at >= 4 && memcmp(lf - 3, "\r\n\r\n", 4) == 0) return at;
  }
  return 0;
}

// Is it worth looking for errors in a head that is not whole? Beyond its first bytes every rule but
// the limits is broken by a line's end, so a head that drips in is not parsed anew for each byte.
static bool deserves_look(const struct wr_connection *c)
{
  const struct wr_parser_limits *limits = &c->server->options.limits;
  if (c->ws->scanned == 0 || c->ws->view.len > limits->head_max) return true;
  const char *line = memrchr(c->ws->view.ptr, '\n', c->ws->view.len);
  size_t before = line ? (size_t)(line - c->ws->view.ptr) + 1 : 0;
  return before > c->ws->scanned || c->ws->view.len - before > limits->line_max;
}

// A large head is copied only when its end has come.
static enum wr_parser_status parse_large(struct wr_connection *c, size_t *used,
                                         struct wr_parser_error *error)
{
  struct wr_workspace *ws = c->ws;
  size_t len = find_end(c);
  if (len == 0 || len > c->server->options.limits.head_max) {
    if (len == 0 && !deserves_look(c)) return WR_PARSER_MORE;
    ws->scanned = c->ws->view.len;
    enum wr_parser_status status = parse_at(c, c->ws->view, used, error);
    if (status != WR_PARSER_DONE) return status;
    len = *used;
    wr_region_clear(&ws->region);
  }
  struct wr_str copy = wr_region_copy(&ws->region, (struct wr_str){c->ws->view.ptr, len});
  WR_CHECK(copy.ptr != NULL);
  return parse_at(c, copy, used, error);
}

// The head that the exchange keeps borrows a copy in the region: input comes and goes meanwhile.
static enum wr_parser_status parse(struct wr_connection *c, size_t *used,
                                   struct wr_parser_error *error)
{
  struct wr_workspace *ws = c->ws;
  wr_region_clear(&ws->region);
  if (ws->scanned > 0 || c->ws->view.len > SMALL) return parse_large(c, used, error);
  enum wr_parser_status status = parse_at(c, wr_region_copy(&ws->region, c->ws->view), used, error);
  if (status == WR_PARSER_MORE) ws->scanned = c->ws->view.len;
  return status;
}

// Is this a client of HTTP/2, or may it still be one?
static enum wr_h2_preface preface_of(const struct wr_connection *c)
{
  return c->is_h1 ? WR_H2_PREFACE_NO : wr_h2_preface(c->ws->view);
}

bool wr_request_begin(struct wr_connection *c)
{
  struct wr_server *s = c->server;
  wr_connection_wake(c);
  enum wr_h2_preface preface = preface_of(c);
  if (preface == WR_H2_PREFACE_MAYBE) return false;
  if (preface == WR_H2_PREFACE_YES) {
    wr_h2_open(c);
    return true;
  }
  size_t used = 0;
  struct wr_parser_error error = {0};
  enum wr_parser_status status = parse(c, &used, &error);
  if (status == WR_PARSER_MORE) return false;
  s->stats.requests++;
  if (status == WR_PARSER_BAD) {
    s->stats.bad_requests++;
    wr_request_refuse(c, error.status, error.message);
    return true;
  }
  wr_connection_consume(c, used);
  struct wr_exchange *x = &c->ws->x;
  wr_body_init(&c->ws->body, x->head.framing, x->head.content_length);
  x->is_body_done = x->head.framing == WR_FRAMING_NONE ||
                    (x->head.framing == WR_FRAMING_LENGTH && x->head.content_length == 0);
  x->is_expecting = x->head.expect_continue && x->head.minor >= 1 && !x->is_body_done;
  open_exchange(c);
  wr_judge_begin(x);
  return true;
}
