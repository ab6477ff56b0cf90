#include "http/judge.h"

#include "http/tls.h"
#include "http/uri.h"

#include <stdio.h>
#include <string.h>

enum {
  REQUEST_ID_MAX = 128,
  // A request that came by us this often goes round in circles.
  VIA_LOOPS_MAX = 3,
};

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

// Eight hexadecimal digits, all at once: the nibbles are spread to bytes, and those above 9 go on
// from '9' to 'a'.
static uint64_t hex_of(uint32_t bits)
{
  uint64_t x = bits;
  x = (x | x << 16) & 0x0000ffff0000ffff;
  x = (x | x << 8) & 0x00ff00ff00ff00ff;
  x = (x | x << 4) & 0x0f0f0f0f0f0f0f0f;
  uint64_t is_letter = (x + 0x0606060606060606) >> 4 & 0x0101010101010101;
  return x + 0x3030303030303030 + is_letter * ('a' - '9' - 1);
}

static struct wr_str make_id(struct wr_exchange *x)
{
  uint64_t digits[4];
  for (int i = 0; i < 4; i += 2) {
    uint64_t bits = wr_rng_next(&x->server->rng);
    digits[i] = hex_of((uint32_t)bits);
    digits[i + 1] = hex_of((uint32_t)(bits >> 32));
  }
  return wr_region_copy(x->info.region, (struct wr_str){(const char *)digits, sizeof(digits)});
}

static void choose_id(struct wr_exchange *x)
{
  if (x->server->options.is_admin) return;
  struct wr_str given = wr_headers_value(&x->head.headers, WR_FIELD_X_REQUEST_ID);
  x->info.request_id = is_sane_id(given) ? given : make_id(x);
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
  if (!wr_headers_may_have(headers, WR_FIELD_VIA)) return 0;
  while ((list = wr_headers_each(headers, WR_STR("Via"), &at)).ptr != NULL) {
    while (list.ptr != NULL) count += is_own_via(wr_str_split(&list, ','), own);
  }
  return count;
}

static bool is_method(const struct wr_head *head, struct wr_str method)
{
  return wr_str_eq(head->method, method);
}

// RFC 9110 7.4: the client named a host to be given its certificate, and now asks for one that has
// another certificate here. A client that named none gets what it asks for, and so does a host that
// no certificate names.
static bool is_misdirected(const struct wr_exchange *x)
{
  const struct wr_tls_facts *tls = x->info.tls;
  struct wr_str host = x->head.host;
  if (tls == NULL || tls->sni == NULL || host.len == 0) return false;
  if (wr_str_eq_nocase(host, wr_str_of(tls->sni))) return false;
  int wanted = wr_tls_find(tls->tls, wr_str_split(&host, ':'));
  return wanted >= 0 && wanted != tls->certificate;
}

struct verdict {
  int status; // 0: for the layer above
  const char *detail;
  bool must_close;
};

// RFC 9110 7.6.2: an OPTIONS that may not go further is answered here, another one goes with one
// less. For the methods that pass it means nothing else.
static struct verdict count_forwards(struct wr_exchange *x)
{
  static const struct verdict bad = {400, "Max-Forwards is not one number", true};
  struct wr_header *field = NULL;
  for (size_t i = 0; i < x->head.headers.count; i++) {
    struct wr_header *h = &x->head.headers.items[i];
    if (h->field != WR_FIELD_MAX_FORWARDS) continue;
    if (field != NULL) return bad;
    field = h;
  }
  if (field == NULL) return (struct verdict){0};
  enum { DIGITS = 9 };
  int left = 0;
  if (field->value.len == 0 || field->value.len > DIGITS) return bad;
  for (size_t i = 0; i < field->value.len; i++) {
    char c = field->value.ptr[i];
    if (c < '0' || c > '9') return bad;
    left = left * 10 + (c - '0');
  }
  if (left == 0) return (struct verdict){204, NULL, false};
  char *text = wr_region_take(x->info.region, DIGITS + 1);
  if (text == NULL) return bad;
  field->value = (struct wr_str){text, (size_t)snprintf(text, DIGITS + 1, "%d", left - 1)};
  return (struct verdict){0};
}

// The client's bytes go on as they are (RFC 9110 7.7). Where dot segments were removed to find the
// route they are not sent either: an upstream that keeps them would see a path that no rule judged.
static struct wr_str choose_target(const struct wr_exchange *x)
{
  const struct wr_head *head = &x->head;
  bool has_dots = wr_uri_has_dots(head->path);
  if (!has_dots && head->target.ptr[0] == '/') return head->target;
  struct wr_str path = has_dots ? x->info.path : head->path;
  if (head->query.ptr == NULL) return path;
  size_t len = path.len + 1 + head->query.len;
  char *text = wr_region_take(x->info.region, len);
  if (text == NULL) return (struct wr_str){NULL, 0};
  memcpy(text, path.ptr, path.len);
  text[path.len] = '?';
  if (head->query.len > 0) memcpy(text + path.len + 1, head->query.ptr, head->query.len);
  return (struct wr_str){text, len};
}

static struct verdict judge(struct wr_exchange *x)
{
  const struct wr_server_options *o = &x->server->options;
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
  if (is_misdirected(x)) {
    return (struct verdict){421, "the connection was made for another host", false};
  }
  if (wr_str_eq(head->path, WR_STR("*"))) return (struct verdict){204, NULL, false};
  x->info.path = wr_uri_normal_path(head->path, x->info.region);
  if (x->info.path.ptr == NULL) {
    return (struct verdict){400, "the path climbs above the root or hides a delimiter", true};
  }
  x->info.target = choose_target(x);
  if (x->info.target.ptr == NULL) return (struct verdict){431, "the request is too large", true};
  if (is_method(head, WR_STR("OPTIONS"))) return count_forwards(x);
  return (struct verdict){0};
}

static void answer(struct wr_exchange *x, struct verdict v)
{
  if (v.must_close) x->ops->stop_reading(x);
  if (v.status >= 400) {
    wr_exchange_problem(x, v.status, v.detail, v.status == 405);
    return;
  }
  struct wr_headers headers;
  wr_headers_init(&headers, x->info.region, 1);
  wr_headers_add(&headers, WR_STR("Allow"), WR_STR("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
  wr_exchange_reply(x, v.status, &headers, WR_STR(""));
}

// Beginning

static void open_exchange(struct wr_exchange *x, const struct wr_http_hooks *hooks)
{
  uint64_t now = wr_loop_now(x->server->loop);
  x->hooks = hooks;
  x->is_live = true;
  x->body_ns = now;
  x->info.head = &x->head;
  x->info.head_ns = now;
  x->server->stats.active++;
  choose_id(x);
}

void wr_judge_begin(struct wr_exchange *x)
{
  struct wr_server *s = x->server;
  struct verdict verdict = judge(x);
  open_exchange(x, verdict.status ? &own_hooks : &s->hooks);
  if (verdict.status != 0) {
    answer(x, verdict);
  } else {
    s->hooks.on_request(s->ctx, x, &x->slot);
  }
}

void wr_judge_refuse(struct wr_exchange *x, int status, const char *detail)
{
  open_exchange(x, &own_hooks);
  x->ops->stop_reading(x);
  wr_exchange_problem(x, status, detail, false);
}
