#include "http/response.h"

#include "base/check.h"
#include "base/decimal.h"
#include "base/json.h"

#include <string.h>

// Status line, framing, Connection: all that is not counted field by field.
enum { FIXED_MAX = 256 };

static const struct {
  int status;
  struct wr_str reason;
} reasons[] = {
    {101, WR_STR("Switching Protocols")},
    {200, WR_STR("OK")},
    {201, WR_STR("Created")},
    {202, WR_STR("Accepted")},
    {203, WR_STR("Non-Authoritative Information")},
    {204, WR_STR("No Content")},
    {205, WR_STR("Reset Content")},
    {206, WR_STR("Partial Content")},
    {207, WR_STR("Multi-Status")},
    {300, WR_STR("Multiple Choices")},
    {301, WR_STR("Moved Permanently")},
    {302, WR_STR("Found")},
    {303, WR_STR("See Other")},
    {304, WR_STR("Not Modified")},
    {307, WR_STR("Temporary Redirect")},
    {308, WR_STR("Permanent Redirect")},
    {400, WR_STR("Bad Request")},
    {401, WR_STR("Unauthorized")},
    {402, WR_STR("Payment Required")},
    {403, WR_STR("Forbidden")},
    {404, WR_STR("Not Found")},
    {405, WR_STR("Method Not Allowed")},
    {406, WR_STR("Not Acceptable")},
    {408, WR_STR("Request Timeout")},
    {409, WR_STR("Conflict")},
    {410, WR_STR("Gone")},
    {411, WR_STR("Length Required")},
    {412, WR_STR("Precondition Failed")},
    {413, WR_STR("Content Too Large")},
    {414, WR_STR("URI Too Long")},
    {415, WR_STR("Unsupported Media Type")},
    {416, WR_STR("Range Not Satisfiable")},
    {417, WR_STR("Expectation Failed")},
    {421, WR_STR("Misdirected Request")},
    {422, WR_STR("Unprocessable Content")},
    {423, WR_STR("Locked")},
    {425, WR_STR("Too Early")},
    {426, WR_STR("Upgrade Required")},
    {428, WR_STR("Precondition Required")},
    {429, WR_STR("Too Many Requests")},
    {431, WR_STR("Request Header Fields Too Large")},
    {451, WR_STR("Unavailable For Legal Reasons")},
    {500, WR_STR("Internal Server Error")},
    {501, WR_STR("Not Implemented")},
    {502, WR_STR("Bad Gateway")},
    {503, WR_STR("Service Unavailable")},
    {504, WR_STR("Gateway Timeout")},
    {505, WR_STR("HTTP Version Not Supported")},
    {507, WR_STR("Insufficient Storage")},
    {508, WR_STR("Loop Detected")},
    {511, WR_STR("Network Authentication Required")},
};

struct wr_str wr_response_reason(int status)
{
  for (size_t i = 0; i < WR_COUNT(reasons); i++) {
    if (reasons[i].status == status) return reasons[i].reason;
  }
  return WR_STR("Unknown");
}

// Writing into room that was measured before.

static char *put_field(char *at, struct wr_str name, struct wr_str value)
{
  at = wr_str_put(at, name);
  *at++ = ':';
  *at++ = ' ';
  at = wr_str_put(at, value);
  *at++ = '\r';
  *at++ = '\n';
  return at;
}

// The room is measured with FIXED_MAX, which the NUL is in.
static char *put_number(char *at, uint64_t n)
{
  return at + wr_decimal_write(at, n);
}

static char *put_status_line(char *at, int status)
{
  at = wr_str_put(at, WR_STR("HTTP/1.1 "));
  at = put_number(at, (uint64_t)status);
  *at++ = ' ';
  at = wr_str_put(at, wr_response_reason(status));
  return wr_str_put(at, WR_STR("\r\n"));
}

static char *put_framing(char *at, const struct wr_response *r)
{
  if (r->framing == WR_FRAMING_LENGTH) {
    at = wr_str_put(at, WR_STR("Content-Length: "));
    at = put_number(at, r->length);
    at = wr_str_put(at, WR_STR("\r\n"));
  } else if (r->framing == WR_FRAMING_CHUNKED) {
    at = wr_str_put(at, WR_STR("Transfer-Encoding: chunked\r\n"));
  }
  if (r->upgrade.len > 0) {
    at = wr_str_put(at, WR_STR("Connection: Upgrade\r\n"));
    return put_field(at, WR_STR("Upgrade"), r->upgrade);
  }
  if (r->is_close) return wr_str_put(at, WR_STR("Connection: close\r\n"));
  if (r->is_keep_alive) return wr_str_put(at, WR_STR("Connection: keep-alive\r\n"));
  return at;
}

bool wr_response_may_leave(const struct wr_response *r, const struct wr_header *h)
{
  if (wr_field_is(h->field, WR_FIELD_IS_HOP) || !wr_headers_is_sound(h)) return false;
  return h->field != WR_FIELD_X_REQUEST_ID || r->request_id.ptr == NULL;
}

static size_t measure(const struct wr_response *r)
{
  size_t size = FIXED_MAX + r->date.len + r->via.len + r->server_name.len + r->request_id.len +
                r->upgrade.len;
  for (size_t i = 0; r->headers != NULL && i < r->headers->count; i++) {
    size += r->headers->items[i].name.len + r->headers->items[i].value.len + 4;
  }
  return size;
}

bool wr_response_write(const struct wr_response *r, struct wr_buf *out)
{
  WR_CHECK((r->status >= 200 && r->status <= 999) || (r->status == 101 && r->upgrade.len > 0));
  char *start = wr_buf_reserve(out, measure(r));
  if (start == NULL) return false;
  bool has_date = r->date.ptr == NULL;
  bool has_server = r->server_name.ptr == NULL;
  char *at = put_status_line(start, r->status);
  for (size_t i = 0; r->headers != NULL && i < r->headers->count; i++) {
    const struct wr_header *h = &r->headers->items[i];
    if (!wr_response_may_leave(r, h)) continue;
    has_date |= h->field == WR_FIELD_DATE;
    has_server |= h->field == WR_FIELD_SERVER;
    at = put_field(at, h->name, h->value);
  }
  if (!has_date) at = put_field(at, WR_STR("Date"), r->date);
  if (!has_server) at = put_field(at, WR_STR("Server"), r->server_name);
  if (r->via.ptr != NULL) at = put_field(at, WR_STR("Via"), r->via);
  if (r->request_id.ptr != NULL) at = put_field(at, WR_STR("X-Request-ID"), r->request_id);
  at = put_framing(at, r);
  at = wr_str_put(at, WR_STR("\r\n"));
  wr_buf_grow(out, (size_t)(at - start));
  return true;
}

void wr_response_problem(struct wr_buf *out, int status, const char *detail,
                         struct wr_str request_id)
{
  struct wr_json j;
  wr_json_init(&j, out);
  wr_json_object(&j);
  wr_json_field_cstr(&j, "type", "about:blank");
  wr_json_field_str(&j, "title", wr_response_reason(status));
  wr_json_field_uint(&j, "status", (uint64_t)status);
  wr_json_field_cstr(&j, "detail", detail);
  if (request_id.ptr != NULL) wr_json_field_str(&j, "request_id", request_id);
  wr_json_object_end(&j);
}
