#include "http/request.h"

#include "http/uri.h"

enum {
  REQUEST_ID_MAX = 128,
  // A request that came by us this often goes round in circles.
  VIA_LOOPS_MAX = 3,
};

static void open_exchange(struct wr_connection *c, const struct wr_http_hooks *hooks)
{
  struct wr_exchange *x = &c->x;
  uint64_t now = wr_loop_now(c->server->loop);
  x->hooks = hooks;
  x->is_live = true;
  x->body_ns = now;
  x->info = (struct wr_exchange_info){
      .head = &x->head,
      .region = &c->region,
      .client = wr_str_of(c->client),
      .client_port = c->client_port,
      .scheme = WR_STR("http"),
      .start_ns = c->start_ns,
      .head_ns = now,
  };
  c->state = WR_CONNECTION_EXCHANGE;
  c->scanned = 0;
  c->server->stats.active++;
}

// What answers by itself has nobody above it.
static void ignore(void *slot, struct wr_exchange *x)
{
  (void)slot;
  (void)x;
}

static void ignore_gone(void *slot, struct wr_exchange *x, const struct wr_error *error)
{
  (void)slot;
  (void)x;
  (void)error;
}

static const struct wr_http_hooks own_hooks = {
    .on_writable = ignore,
    .on_gone = ignore_gone,
    .on_end = ignore,
};

// Request ids

static bool is_sane_id(struct wr_str id)
{
  if (id.len == 0 || id.len > REQUEST_ID_MAX) return false;
  for (size_t i = 0; i < id.len; i++) {
    if (id.ptr[i] <= ' ' || id.ptr[i] >= 0x7f) return false;
  }
  return true;
}

static struct wr_str make_id(struct wr_connection *c)
{
  static const char digits[] = "0123456789abcdef";
  enum { LEN = 32 };
  char *id = wr_region_take(&c->region, LEN);
  if (id == NULL) return (struct wr_str){NULL, 0};
  for (int half = 0; half < 2; half++) {
    uint64_t bits = wr_rng_next(&c->server->rng);
    for (int i = 0; i < LEN / 2; i++) id[half * LEN / 2 + i] = digits[bits >> (4 * i) & 15];
  }
  return (struct wr_str){id, LEN};
}

static void choose_id(struct wr_connection *c)
{
  if (c->server->options.is_admin) return;
  struct wr_str given = wr_headers_get(&c->x.head.headers, WR_STR("X-Request-ID"));
  c->x.info.request_id = is_sane_id(given) ? given : make_id(c);
}

// Judging

// "1.1 weir (comment)": is the second word ours?
static bool is_own_via(struct wr_str element, struct wr_str own)
{
  struct wr_str rest = wr_str_trim(element);
  wr_str_split(&rest, ' ');
  rest = wr_str_trim(rest);
  struct wr_str by = wr_str_split(&rest, ' ');
  return wr_str_eq_nocase(by, own);
}

static int count_own_via(const struct wr_headers *headers, struct wr_str own)
{
  int count = 0;
  size_t at = 0;
  struct wr_str list;
  while ((list = wr_headers_each(headers, WR_STR("Via"), &at)).ptr != NULL) {
    while (list.ptr != NULL) count += is_own_via(wr_str_split(&list, ','), own);
  }
  return count;
}

static bool is_method(const struct wr_head *head, struct wr_str method)
{
  return wr_str_eq(head->method, method);
}

struct verdict {
  int status; // 0: for the layer above
  const char *detail;
  bool must_close;
};

static struct verdict judge(struct wr_connection *c)
{
  const struct wr_server_options *o = &c->server->options;
  struct wr_exchange *x = &c->x;
  const struct wr_head *head = &x->head;
  if (is_method(head, WR_STR("CONNECT")) || is_method(head, WR_STR("TRACE"))) {
    return (struct verdict){405, "CONNECT and TRACE are not served here", false};
  }
  if (o->via != NULL && count_own_via(&head->headers, wr_str_of(o->via)) > VIA_LOOPS_MAX) {
    return (struct verdict){508, "the request came through this gateway too often", false};
  }
  if (o->body_max > 0 && head->framing == WR_FRAMING_LENGTH && head->content_length > o->body_max) {
    return (struct verdict){413, "the request body is larger than allowed", true};
  }
  if (wr_str_eq(head->path, WR_STR("*"))) return (struct verdict){204, NULL, false};
  x->info.path = wr_uri_normal_path(head->path, &c->region);
  if (x->info.path.ptr == NULL) {
    return (struct verdict){400, "the path climbs above the root or hides a delimiter", true};
  }
  return (struct verdict){0};
}

static void answer(struct wr_connection *c, struct verdict v)
{
  struct wr_exchange *x = &c->x;
  if (v.must_close) c->must_close = true;
  if (v.status >= 400) {
    wr_exchange_problem(x, v.status, v.detail, v.status == 405);
    return;
  }
  struct wr_headers headers;
  wr_headers_init(&headers, &c->region, 1);
  wr_headers_add(&headers, WR_STR("Allow"), WR_STR("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
  wr_exchange_reply(x, v.status, &headers, WR_STR(""));
}

void wr_request_refuse(struct wr_connection *c, int status, const char *detail)
{
  wr_region_clear(&c->region);
  c->x = (struct wr_exchange){.is_body_done = true};
  c->x.head.minor = 1;
  c->x.head.headers.region = &c->region;
  c->must_close = true;
  open_exchange(c, &own_hooks);
  choose_id(c);
  wr_exchange_problem(&c->x, status, detail, false);
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
  size_t from = c->scanned > 3 ? c->scanned - 3 : 0;
  const char *end = memmem(c->view.ptr + from, c->view.len - from, "\r\n\r\n", 4);
  return end ? (size_t)(end - c->view.ptr) + 4 : 0;
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

bool wr_request_begin(struct wr_connection *c)
{
  struct wr_server *s = c->server;
  if (c->start_ns == 0) c->start_ns = wr_loop_now(s->loop);
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
  wr_body_init(&x->body, x->head.framing, x->head.content_length);
  x->is_body_done = x->head.framing == WR_FRAMING_NONE ||
                    (x->head.framing == WR_FRAMING_LENGTH && x->head.content_length == 0);
  x->is_expecting = x->head.expect_continue && x->head.minor >= 1 && !x->is_body_done;
  struct verdict verdict = judge(c);
  struct wr_str path = x->info.path;
  open_exchange(c, verdict.status ? &own_hooks : &s->hooks);
  x->info.path = path;
  choose_id(c);
  if (verdict.status != 0) {
    answer(c, verdict);
  } else {
    s->hooks.on_request(s->ctx, x, &x->slot);
  }
  return true;
}
