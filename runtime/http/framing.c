#include "http/framing.h"

#include "http/chars.h"

// Fields whose meaning the parser needs

static const char *note_host(struct wr_framing_facts *f, struct wr_str value)
{
  if (!f->is_request) return NULL;
  if (f->has_host) return "more than one Host field";
  f->has_host = true;
  return wr_authority_parse(&f->host, value);
}

static const char *note_length(struct wr_framing_facts *f, struct wr_str value)
{
  // Not even two equal ones: whoever sends them is confused, or hopes that somebody else is.
  if (f->has_length) return "more than one Content-Length";
  if (f->is_chunked) return "Content-Length beside Transfer-Encoding";
  f->has_length = true;
  if (value.len == 0) return "Content-Length is empty";
  // 18 digits cannot overflow; no body has more.
  if (value.len > 18) return "Content-Length is too large";
  for (size_t i = 0; i < value.len; i++) {
    if (value.ptr[i] < '0' || value.ptr[i] > '9') return "Content-Length is not a number";
    f->length = f->length * 10 + (uint64_t)(value.ptr[i] - '0');
  }
  return NULL;
}

// Why a list of codings that is not "chunked" is refused; 501 only when it is well-formed, ends as
// it should or is not chunked at all, and merely names a coding we do not have.
static const char *coding_fault(struct wr_str list, int *status)
{
  bool is_known = true;
  bool was_chunked = false;
  while (list.ptr != NULL) {
    struct wr_str coding = wr_str_trim(wr_str_split(&list, ','));
    if (!wr_headers_is_token(coding)) return "Transfer-Encoding is malformed";
    if (was_chunked) return "chunked is not the last and only transfer coding";
    was_chunked = wr_str_eq_nocase(coding, WR_STR("chunked"));
    is_known = is_known && was_chunked;
  }
  if (is_known) return NULL;
  *status = 501;
  return "a transfer coding other than chunked";
}

static const char *note_coding(struct wr_framing_facts *f, struct wr_str value, int *status)
{
  if (f->minor == 0) return "Transfer-Encoding in HTTP/1.0";
  if (f->is_chunked) return "more than one Transfer-Encoding";
  if (f->has_length) return "Transfer-Encoding beside Content-Length";
  f->is_chunked = true;
  return coding_fault(value, status);
}

static const char *note_connection(struct wr_framing_facts *f, struct wr_str list)
{
  while (list.ptr != NULL) {
    struct wr_str option = wr_str_trim(wr_str_split(&list, ','));
    if (++f->option_count > WR_FRAMING_OPTIONS_MAX) return "too many Connection options";
    if (wr_str_eq_nocase(option, WR_STR("close"))) f->has_close = true;
    enum wr_field named = wr_field_of(option);
    if (named == WR_FIELD_KEEP_ALIVE) f->has_keep_alive = true;
    if (named == WR_FIELD_UPGRADE) f->has_upgrade_option = true;
  }
  return NULL;
}

static void note_expect(struct wr_framing_facts *f, struct wr_str list)
{
  while (list.ptr != NULL) {
    struct wr_str expectation = wr_str_trim(wr_str_split(&list, ','));
    if (wr_str_eq_nocase(expectation, WR_STR("100-continue"))) f->has_expect = true;
  }
}

const char *wr_framing_note(struct wr_framing_facts *f, const struct wr_header *field, int *status)
{
  *status = 400;
  switch (field->field) {
  case WR_FIELD_HOST: return note_host(f, field->value);
  case WR_FIELD_CONNECTION: return note_connection(f, field->value);
  case WR_FIELD_CONTENT_LENGTH: return note_length(f, field->value);
  case WR_FIELD_TRANSFER_ENCODING: return note_coding(f, field->value, status);
  case WR_FIELD_EXPECT: note_expect(f, field->value); return NULL;
  case WR_FIELD_UPGRADE: f->has_upgrade = true; return NULL;
  default: return NULL;
  }
}

// What follows from all of them

static bool is_bodyless_method(struct wr_str method)
{
  return wr_str_eq(method, WR_STR("GET")) || wr_str_eq(method, WR_STR("HEAD")) ||
         wr_str_eq(method, WR_STR("DELETE"));
}

static void settle_connection(const struct wr_framing_facts *f, struct wr_head *head)
{
  head->keep_alive = !f->has_close && (f->minor == 1 || f->has_keep_alive);
  // RFC 9110 7.8: Upgrade in an HTTP/1.0 message is ignored.
  head->is_upgrade = f->minor == 1 && f->has_upgrade && f->has_upgrade_option;
  head->has_content_length = f->has_length;
  head->content_length = f->length;
}

const char *wr_framing_settle_request(const struct wr_framing_facts *f, struct wr_head *head)
{
  settle_connection(f, head);
  if (f->minor == 1 && !f->has_host) return "no Host field";
  if (f->is_chunked) {
    head->framing = WR_FRAMING_CHUNKED;
  } else {
    head->framing = f->has_length ? WR_FRAMING_LENGTH : WR_FRAMING_NONE;
  }
  bool has_body = f->is_chunked || f->length > 0;
  // Old servers answer such a request without reading its body, which then is the next request.
  if (f->minor == 0 && has_body && is_bodyless_method(head->method)) {
    return "a body on GET, HEAD or DELETE in HTTP/1.0";
  }
  head->expect_continue = f->has_expect && f->minor == 1 && has_body;
  return NULL;
}

void wr_framing_settle_response(const struct wr_framing_facts *f, struct wr_str method,
                                struct wr_head *head)
{
  settle_connection(f, head);
  bool never_has_body = head->status < 200 || head->status == 204;
  bool is_tunnel = wr_str_eq(method, WR_STR("CONNECT")) && head->status / 100 == 2;
  if (never_has_body || is_tunnel || head->status == 304 || wr_str_eq(method, WR_STR("HEAD"))) {
    head->framing = WR_FRAMING_NONE;
    // A peer that announces a body where none can be may send one: nothing may follow on this
    // connection.
    if (never_has_body && (f->is_chunked || f->length > 0)) head->keep_alive = false;
  } else if (f->is_chunked) {
    head->framing = WR_FRAMING_CHUNKED;
  } else if (f->has_length) {
    head->framing = WR_FRAMING_LENGTH;
  } else {
    head->framing = WR_FRAMING_CLOSE;
    head->keep_alive = false;
  }
}
