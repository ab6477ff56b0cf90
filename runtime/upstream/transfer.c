#include "upstream/transfer.h"

#include "http/chars.h"
#include "http/headers.h"

enum { LINE_MAX_BYTES = 64 * 1024 };

static bool is_authority(struct wr_str s)
{
  for (size_t i = 0; i < s.len; i++) {
    char c = s.ptr[i];
    if (!wr_chars_is(c, WR_CHARS_UNRESERVED) && c != ':' && c != '[' && c != ']') return false;
  }
  return s.len > 0 && s.len <= 320;
}

static bool is_target(struct wr_str s)
{
  if (s.len == 0 || (s.ptr[0] != '/' && !wr_str_eq(s, WR_STR("*")))) return false;
  return wr_chars_skip(s.ptr, s.ptr + s.len, WR_CHARS_TARGET) == s.ptr + s.len;
}

static const char *check_fields(const struct wr_headers *headers)
{
  for (size_t i = 0; headers != NULL && i < headers->count; i++) {
    const struct wr_header *h = &headers->items[i];
    if (!wr_headers_is_sound(h)) {
      return wr_headers_is_token(h->name) ? "a header value has control characters"
                                          : "a header name is not a token";
    }
    if (h->field == WR_FIELD_HOST || wr_field_is(h->field, WR_FIELD_IS_HOP)) {
      return "a header belongs to the connection, not to the request";
    }
    if (h->name.len + h->value.len + 4 > LINE_MAX_BYTES) return "a header is too long";
  }
  return NULL;
}

const char *wr_transfer_check(const struct wr_transfer_request *rq)
{
  if (!wr_headers_is_token(rq->method)) return "the method is not a token";
  if (wr_str_eq(rq->method, WR_STR("CONNECT"))) return "CONNECT cannot be sent";
  if (wr_str_eq(rq->method, WR_STR("HEAD")) && rq->body_kind != WR_TRANSFER_BODY_NONE) {
    return "HEAD has no body";
  }
  if (!is_authority(rq->authority)) return "the authority has characters that no host has";
  if (!is_target(rq->target)) return "the target is not an origin-form";
  if (rq->preamble.len > WR_TRANSFER_PREAMBLE_MAX) return "the preamble is too long";
  if (wr_transfer_is_path(rq->host)) {
    if (rq->host.len > WR_TRANSFER_PATH_MAX) return "the path of the Unix socket is too long";
  } else if (rq->port == 0) {
    return "the port is 0";
  }
  return check_fields(rq->headers);
}

bool wr_transfer_wants_length(struct wr_str method)
{
  return wr_str_eq(method, WR_STR("POST")) || wr_str_eq(method, WR_STR("PUT")) ||
         wr_str_eq(method, WR_STR("PATCH"));
}

bool wr_transfer_has_link_local(const struct wr_dns_answer *answer)
{
  static const char *const prefixes[] = {"169.254.", "fe8", "fe9", "fea", "feb", "::ffff:169.254."};
  for (size_t i = 0; i < answer->count; i++) {
    const char *text = answer->items[i].text;
    for (size_t p = 0; p < WR_COUNT(prefixes); p++) {
      if (strncmp(text, prefixes[p], strlen(prefixes[p])) == 0) return true;
    }
  }
  return false;
}
