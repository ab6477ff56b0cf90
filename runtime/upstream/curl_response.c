#include "upstream/curl_response.h"

#include "upstream/transport.h"

enum { REGION_MAX = 64 * 1024 };

void wr_curl_response_init(struct wr_curl_response *r)
{
  *r = (struct wr_curl_response){0};
  wr_buf_init(&r->lines, wr_parser_limits_default.head_max);
  wr_region_init(&r->region, REGION_MAX);
}

void wr_curl_response_fini(struct wr_curl_response *r)
{
  wr_buf_fini(&r->lines);
  wr_region_fini(&r->region);
}

static void forget_head(struct wr_curl_response *r)
{
  wr_buf_clear(&r->lines);
  wr_region_clear(&r->region);
  r->head = (struct wr_head){0};
}

void wr_curl_response_reset(struct wr_curl_response *r)
{
  forget_head(r);
  r->is_final = false;
  r->is_h2 = false;
  r->interim_count = 0;
}

static enum wr_curl_response_status bad(struct wr_curl_response *r, const char *reason)
{
  r->reason = reason;
  return WR_CURL_RESPONSE_BAD;
}

// libcurl writes HTTP/2 heads as text with a status line of its own; the parser reads HTTP/1.
static bool append_line(struct wr_curl_response *r, struct wr_str line)
{
  struct wr_str h2 = WR_STR("HTTP/2 ");
  if (r->lines.len > 0 || line.len < h2.len || memcmp(line.ptr, h2.ptr, h2.len) != 0) {
    return wr_buf_append_str(&r->lines, line);
  }
  r->is_h2 = true;
  line.ptr += h2.len;
  line.len -= h2.len;
  return wr_buf_append_str(&r->lines, WR_STR("HTTP/1.1 ")) && wr_buf_append_str(&r->lines, line);
}

static enum wr_curl_response_status end_head(struct wr_curl_response *r)
{
  int status = r->head.status;
  if (status == 101) return bad(r, "the protocol was switched without being asked to");
  if (status >= 200) {
    r->is_final = true;
    return WR_CURL_RESPONSE_FINAL;
  }
  if (++r->interim_count > WR_TRANSFER_INTERIM_MAX) return bad(r, "too many interim responses");
  forget_head(r);
  return WR_CURL_RESPONSE_MORE;
}

// One line after the body. libcurl has looked at its ends alone.
static enum wr_curl_response_status take_trailer(struct wr_curl_response *r, struct wr_str line)
{
  while (line.len > 0 && (line.ptr[line.len - 1] == '\n' || line.ptr[line.len - 1] == '\r')) {
    line.len--;
  }
  if (line.len == 0) return WR_CURL_RESPONSE_MORE;
  struct wr_str value = line;
  struct wr_str name = wr_str_split(&value, ':');
  value = wr_str_trim(value);
  bool is_field = value.ptr != NULL && wr_headers_is_token(name) && wr_headers_is_value(value);
  if (!is_field) return bad(r, "a trailer is malformed");
  if (r->trailers.region == NULL) {
    wr_headers_init(&r->trailers, &r->region, WR_TRANSFER_TRAILERS_MAX);
  }
  wr_headers_add_copy(&r->trailers, name, value);
  return WR_CURL_RESPONSE_MORE;
}

enum wr_curl_response_status wr_curl_response_line(struct wr_curl_response *r, struct wr_str line,
                                                   struct wr_str method)
{
  if (r->is_final) return take_trailer(r, line);
  bool is_last = wr_str_eq(line, WR_STR("\r\n")) || wr_str_eq(line, WR_STR("\n"));
  if (!append_line(r, line)) return bad(r, "the response head is too large");
  if (!is_last) return WR_CURL_RESPONSE_MORE;
  struct wr_parser_error error = {0};
  size_t used = 0;
  struct wr_str head = wr_buf_str(&r->lines);
  enum wr_parser_status status = wr_parser_response(
      head.ptr, head.len, method, &wr_parser_limits_default, &r->region, &r->head, &used, &error);
  if (status == WR_PARSER_BAD) return bad(r, error.message);
  if (status != WR_PARSER_DONE || used != head.len)
    return bad(r, "the response head has no proper end");
  return end_head(r);
}
