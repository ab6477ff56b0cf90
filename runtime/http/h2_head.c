#include "http/h2_head.h"

#include "http/chars.h"
#include "http/framing.h"
#include "http/target.h"

void wr_h2_head_init(struct wr_h2_head *h, struct wr_region *region,
                     const struct wr_parser_limits *limits)
{
  *h = (struct wr_h2_head){.region = region, .limits = limits};
  // One more for Host, which stands for :authority.
  wr_headers_init(&h->fields, region, limits->fields_max + 1);
  wr_headers_init(&h->cookies, region, limits->fields_max);
}

static void refuse(struct wr_h2_head *h, int status, const char *fault)
{
  if (h->status != 0) return;
  h->status = status;
  h->fault = fault;
}

// Fields

static struct wr_str *pseudo_of(struct wr_h2_head *h, struct wr_str name)
{
  if (wr_str_eq(name, WR_STR(":method"))) return &h->method;
  if (wr_str_eq(name, WR_STR(":scheme"))) return &h->scheme;
  if (wr_str_eq(name, WR_STR(":authority"))) return &h->authority;
  if (wr_str_eq(name, WR_STR(":path"))) return &h->path;
  return NULL;
}

static void add_pseudo(struct wr_h2_head *h, struct wr_str name, struct wr_str value)
{
  struct wr_str *to = pseudo_of(h, name);
  if (to == NULL) {
    refuse(h, 400, "a pseudo field that is not known");
    return;
  }
  if (to == &h->path && value.len > h->limits->line_max) refuse(h, 414, "the target is too long");
  *to = wr_region_copy(h->region, value);
}

// As the parser of HTTP/1 has it, which says why.
static bool is_forgeable(struct wr_str name)
{
  return memchr(name.ptr, '_', name.len) != NULL;
}

static void add_field(struct wr_h2_head *h, struct wr_str name, struct wr_str value)
{
  if (name.len + value.len + 2 > h->limits->line_max) refuse(h, 431, "a field is too long");
  if (!wr_headers_is_token(name)) refuse(h, 400, "a field name is not a token");
  if (!wr_headers_is_value(value)) refuse(h, 400, "a field value has a control character");
  if (h->status != 0 || is_forgeable(name)) return;
  struct wr_headers *to = wr_str_eq(name, WR_STR("cookie")) ? &h->cookies : &h->fields;
  bool is_room = h->fields.count + h->cookies.count < h->limits->fields_max;
  if (!is_room || !wr_headers_add_copy(to, name, value)) refuse(h, 431, "too many fields");
}

bool wr_h2_head_drop(struct wr_h2_head *h, struct wr_str name, struct wr_str value)
{
  h->size += name.len + value.len + WR_H2_HEAD_FIELD_COST;
  return h->size <= h->limits->head_max * WR_H2_HEAD_CEILING;
}

bool wr_h2_head_add(struct wr_h2_head *h, struct wr_str name, struct wr_str value)
{
  bool fits = wr_h2_head_drop(h, name, value);
  if (h->size > h->limits->head_max) refuse(h, 431, "the head is too long");
  bool is_pseudo = name.len > 0 && name.ptr[0] == ':';
  // Those come first: what it takes to answer is there when a limit is passed.
  if (is_pseudo && h->size <= h->limits->head_max) add_pseudo(h, name, value);
  if (!is_pseudo) add_field(h, name, value);
  return fits;
}

// The whole

static const char *read_target(struct wr_h2_head *h, struct wr_head *head)
{
  const char *end = h->path.ptr + h->path.len;
  bool is_connect = wr_str_eq(h->method, WR_STR("CONNECT"));
  if (is_connect) return NULL; // refused later, with 405
  if (h->path.len == 0) return "the target is empty";
  if (wr_chars_skip(h->path.ptr, end, WR_CHARS_TARGET) != end) {
    return "the target has a character that must be escaped";
  }
  struct wr_target target;
  const char *fault = wr_target_parse(&target, h->method, h->path);
  if (fault != NULL) return fault;
  if (target.has_authority) return "the target is neither a path nor *";
  head->target = h->path;
  head->path = target.path;
  head->query = target.query;
  return NULL;
}

// What the fields say. Host is read apart: it may repeat :authority.
static const char *note_fields(struct wr_h2_head *h, struct wr_framing_facts *facts, int *status)
{
  for (size_t i = 0; i < h->fields.count; i++) {
    const char *fault = wr_framing_note(facts, &h->fields.items[i], status);
    if (fault != NULL) return fault;
  }
  return NULL;
}

// RFC 9113 8.3.1: an authority that differs from Host would have the next hop look at the other
// one.
static const char *settle_host(struct wr_h2_head *h, const struct wr_framing_facts *facts,
                               struct wr_head *head)
{
  uint16_t default_port = wr_str_eq_nocase(h->scheme, WR_STR("https")) ? 443 : 80;
  struct wr_authority authority;
  char text[WR_AUTHORITY_TEXT];
  char other[WR_AUTHORITY_TEXT];
  struct wr_str host = {text, 0};
  if (h->authority.ptr == NULL && !facts->has_host) return "neither :authority nor host";
  if (h->authority.ptr != NULL) {
    const char *fault = wr_authority_parse(&authority, h->authority);
    if (fault != NULL) return fault;
    host.len = wr_authority_write(&authority, default_port, text);
  }
  if (facts->has_host) {
    size_t len = wr_authority_write(&facts->host, default_port, host.len ? other : text);
    if (host.len > 0 && !wr_str_eq(host, (struct wr_str){other, len})) {
      return "host differs from :authority";
    }
    if (host.len == 0) host.len = len;
  } else if (!wr_headers_add(&h->fields, WR_STR("host"), h->authority)) {
    return "too many fields";
  }
  head->host = wr_region_copy(h->region, host);
  return head->host.ptr ? NULL : "the host needs too much memory";
}

static const char *join_cookies(struct wr_h2_head *h)
{
  if (h->cookies.count == 0) return NULL;
  size_t size = 0;
  for (size_t i = 0; i < h->cookies.count; i++) size += h->cookies.items[i].value.len + 2;
  char *text = wr_region_take(h->region, size);
  if (text == NULL) return "the cookies need too much memory";
  size_t len = 0;
  for (size_t i = 0; i < h->cookies.count; i++) {
    struct wr_str crumb = h->cookies.items[i].value;
    if (i > 0) text[len++] = ';', text[len++] = ' ';
    if (crumb.len > 0) memcpy(text + len, crumb.ptr, crumb.len);
    len += crumb.len;
  }
  bool fits = wr_headers_add(&h->fields, WR_STR("cookie"), (struct wr_str){text, len});
  return fits ? NULL : "too many fields";
}

// Where no length is told the body goes on to the end of its stream, as a chunked one to its last
// chunk.
static void settle_body(const struct wr_framing_facts *facts, bool has_body, struct wr_head *head)
{
  head->has_content_length = facts->has_length;
  head->content_length = facts->length;
  head->framing = WR_FRAMING_NONE;
  if (has_body) head->framing = facts->has_length ? WR_FRAMING_LENGTH : WR_FRAMING_CHUNKED;
  head->expect_continue = facts->has_expect && has_body;
}

static const char *read_head(struct wr_h2_head *h, bool has_body, struct wr_head *head, int *status)
{
  *status = 400;
  if (!wr_headers_is_token(h->method)) return "the method is not a token";
  bool is_http =
      wr_str_eq_nocase(h->scheme, WR_STR("http")) || wr_str_eq_nocase(h->scheme, WR_STR("https"));
  if (!is_http && !wr_str_eq(h->method, WR_STR("CONNECT"))) return "the scheme is not http";
  const char *fault = read_target(h, head);
  struct wr_framing_facts facts = {.minor = 1, .is_request = true};
  if (fault == NULL) fault = note_fields(h, &facts, status);
  if (fault == NULL) fault = settle_host(h, &facts, head);
  if (fault == NULL) fault = join_cookies(h);
  if (fault == NULL) settle_body(&facts, has_body, head);
  return fault;
}

int wr_h2_head_read(struct wr_h2_head *h, bool has_body, struct wr_head *head, const char **fault)
{
  *head = (struct wr_head){.method = h->method, .minor = 1, .keep_alive = true};
  head->headers.region = h->region;
  int status = h->status;
  *fault = h->fault;
  if (status == 0) *fault = read_head(h, has_body, head, &status);
  if (*fault == NULL) {
    head->headers = h->fields;
    return 0;
  }
  return status;
}
