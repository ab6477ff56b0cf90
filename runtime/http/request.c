#include "http/request.h"

#include "http/h1.h"
#include "http/h2.h"
#include "http/judge.h"
#include "http/tls_session.h"

// The exchange of a head that was read into it, or of none.
static void open_exchange(struct wr_connection *c)
{
  struct wr_exchange *x = &c->x;
  x->ops = &wr_h1_ops;
  x->server = c->server;
  x->info = (struct wr_exchange_info){
      .region = &c->region,
      .client = wr_str_of(c->peer.text),
      .client_port = c->peer.port,
      .scheme = c->channel.tls ? WR_STR("https") : WR_STR("http"),
      .tls = c->channel.tls ? wr_tls_session_facts(&c->channel) : NULL,
      .version = c->x.head.minor == 0 ? WR_STR("1.0") : WR_STR("1.1"),
      .start_ns = c->start_ns,
  };
  c->is_h1 = true;
  c->head_left = 0;
  c->keep_alive = false;
  c->scanned = 0;
  c->state = WR_CONNECTION_EXCHANGE;
}

void wr_request_refuse(struct wr_connection *c, int status, const char *detail)
{
  wr_region_clear(&c->region);
  // Nothing of what was not understood is used but this: an answer to HEAD has no body.
  bool is_head = c->view.len >= 5 && memcmp(c->view.ptr, "HEAD ", 5) == 0;
  c->x = (struct wr_exchange){.is_body_done = true};
  c->x.head.minor = 1;
  if (is_head) c->x.head.method = WR_STR("HEAD");
  c->x.head.headers.region = &c->region;
  open_exchange(c);
  wr_judge_refuse(&c->x, status, detail);
}

// Parsing

static enum wr_parser_status parse_at(struct wr_connection *c, const char *bytes, size_t len,
                                      size_t *used, struct wr_parser_error *error)
{
  c->x = (struct wr_exchange){0};
  return wr_parser_request(bytes, len, &c->server->options.limits, &c->region, &c->x.head, used,
                           error);
}

// The length of input up to and with the first empty line, or 0.
static size_t find_end(const struct wr_connection *c)
{
  size_t at = c->scanned;
  const char *lf;
  while ((lf = memchr(c->view.ptr + at, '\n', c->view.len - at)) != NULL) {
    at = (size_t)(lf - c->view.ptr) + 1;
    if (at >= 4 && memcmp(lf - 3, "\r\n\r\n", 4) == 0) return at;
  }
  return 0;
}

// Is it worth looking for errors in a head that is not whole? Beyond its first bytes every rule but
// the limits is broken by a line's end, so a head that drips in is not parsed anew for each byte.
static bool deserves_look(const struct wr_connection *c)
{
  const struct wr_parser_limits *limits = &c->server->options.limits;
  if (c->scanned == 0 || c->view.len > limits->head_max) return true;
  const char *line = memrchr(c->view.ptr, '\n', c->view.len);
  size_t before = line ? (size_t)(line - c->view.ptr) + 1 : 0;
  return before > c->scanned || c->view.len - before > limits->line_max;
}

// The head that the exchange keeps borrows a copy in the region: input comes and goes meanwhile.
static enum wr_parser_status parse(struct wr_connection *c, size_t *used,
                                   struct wr_parser_error *error)
{
  size_t len = find_end(c);
  wr_region_clear(&c->region);
  if (len == 0 || len > c->server->options.limits.head_max) {
    if (len == 0 && !deserves_look(c)) return WR_PARSER_MORE;
    c->scanned = c->view.len;
    enum wr_parser_status status = parse_at(c, c->view.ptr, c->view.len, used, error);
    if (status != WR_PARSER_DONE) return status;
    len = *used;
    wr_region_clear(&c->region);
  }
  struct wr_str copy = wr_region_copy(&c->region, (struct wr_str){c->view.ptr, len});
  WR_CHECK(copy.ptr != NULL);
  return parse_at(c, copy.ptr, copy.len, used, error);
}

// Is this a client of HTTP/2, or may it still be one?
static enum wr_h2_preface preface_of(const struct wr_connection *c)
{
  return c->is_h1 ? WR_H2_PREFACE_NO : wr_h2_preface(c->view);
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
  struct wr_exchange *x = &c->x;
  wr_body_init(&c->body, x->head.framing, x->head.content_length);
  x->is_body_done = x->head.framing == WR_FRAMING_NONE ||
                    (x->head.framing == WR_FRAMING_LENGTH && x->head.content_length == 0);
  x->is_expecting = x->head.expect_continue && x->head.minor >= 1 && !x->is_body_done;
  open_exchange(c);
  wr_judge_begin(x);
  return true;
}
