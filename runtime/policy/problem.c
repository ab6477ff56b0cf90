#include "policy/problem.h"

#include "base/check.h"
#include "base/decimal.h"
#include "base/duration.h"
#include "base/json.h"

#include <stdio.h>

enum {
  BODY_MAX = 2048,
  FIELD_ROOM = 16,
  GRPC_MESSAGE_ROOM = 512,
  GRPC_UNIMPLEMENTED = 12, // no such route
};

static const char *title_of(int status)
{
  switch (status) {
  case 400: return "Bad Request";
  case 404: return "Not Found";
  case 405: return "Method Not Allowed";
  case 408: return "Request Timeout";
  case 413: return "Content Too Large";
  case 429: return "Too Many Requests";
  case 500: return "Internal Server Error";
  case 502: return "Bad Gateway";
  case 503: return "Service Unavailable";
  case 504: return "Gateway Timeout";
  default: return "Error";
  }
}

uint64_t wr_problem_retry_after(uint64_t after_ns)
{
  uint64_t seconds = (after_ns + WR_SECOND - 1) / WR_SECOND;
  return seconds ? seconds : 1;
}

static bool is_refusal(int status)
{
  return status == 503 || status == 429;
}

// What only errors of ours have: their kind, and of a refusal who refused and until when.
static void write_error(struct wr_json *j, int status, const struct wr_error *error)
{
  wr_json_field_cstr(j, "kind", wr_error_name(error->kind));
  if (error->primitive[0]) {
    if (error->policy[0]) wr_json_field_cstr(j, "policy", error->policy);
    wr_json_field_cstr(j, "primitive", error->primitive);
  }
  if (is_refusal(status)) {
    wr_json_field_uint(j, "retry_after", wr_problem_retry_after(error->after_ns));
  }
}

static void write_body(struct wr_buf *out, const struct wr_exchange_info *info, int status,
                       const struct wr_error *error, const char *detail)
{
  struct wr_json j;
  wr_json_init(&j, out);
  wr_json_object(&j);
  wr_json_field_cstr(&j, "type", "about:blank");
  wr_json_field_cstr(&j, "title", title_of(status));
  wr_json_field_uint(&j, "status", (uint64_t)status);
  if (error) write_error(&j, status, error);
  wr_json_field_cstr(&j, "detail", detail);
  wr_json_field_str(&j, "request_id", info->request_id);
  wr_json_object_end(&j);
}

// "application/grpc", "application/grpc+proto", not "application/grpc-web".
static bool is_grpc(const struct wr_exchange_info *info)
{
  const struct wr_str type = WR_STR("application/grpc");
  struct wr_str value = wr_headers_value(&info->head->headers, WR_FIELD_CONTENT_TYPE);
  if (value.len < type.len || !wr_str_eq_nocase((struct wr_str){value.ptr, type.len}, type)) {
    return false;
  }
  return value.len == type.len || value.ptr[type.len] == '+' || value.ptr[type.len] == ';';
}

// Percent-encoded, as grpc-message is.
static struct wr_str grpc_message(struct wr_region *region, const char *text)
{
  static const char digits[] = "0123456789ABCDEF";
  char *out = wr_region_take(region, GRPC_MESSAGE_ROOM);
  if (out == NULL) return (struct wr_str){"", 0};
  size_t len = 0;
  for (; *text != '\0' && len + 3 <= GRPC_MESSAGE_ROOM; text++) {
    uint8_t c = (uint8_t)*text;
    if (c >= ' ' && c <= '~' && c != '%') {
      out[len++] = (char)c;
    } else {
      out[len++] = '%';
      out[len++] = digits[c >> 4];
      out[len++] = digits[c & 15];
    }
  }
  return (struct wr_str){out, len};
}

static void reply_grpc(struct wr_exchange *x, int code, const char *detail)
{
  struct wr_region *region = wr_exchange_info(x)->region;
  struct wr_headers headers;
  char number[WR_DECIMAL_SIZE];
  wr_decimal_write(number, (uint64_t)code);
  wr_headers_init(&headers, region, FIELD_ROOM);
  wr_headers_add(&headers, WR_STR("Content-Type"), WR_STR("application/grpc"));
  wr_headers_add_copy(&headers, WR_STR("grpc-status"), wr_str_of(number));
  wr_headers_add(&headers, WR_STR("grpc-message"), grpc_message(region, detail));
  wr_exchange_reply(x, 200, &headers, (struct wr_str){NULL, 0});
}

static void reply(struct wr_exchange *x, int status, const struct wr_error *error,
                  const char *detail, const struct wr_headers *extra)
{
  const struct wr_exchange_info *info = wr_exchange_info(x);
  if (is_grpc(info)) {
    reply_grpc(x, error ? wr_error_grpc(error->kind) : GRPC_UNIMPLEMENTED, detail);
    return;
  }
  struct wr_headers headers;
  struct wr_buf body;
  wr_buf_init(&body, BODY_MAX);
  write_body(&body, info, status, error, detail);
  wr_headers_init(&headers, info->region, FIELD_ROOM);
  wr_headers_add(&headers, WR_STR("Content-Type"), WR_STR("application/problem+json"));
  wr_headers_add(&headers, WR_STR("Cache-Control"), WR_STR("no-store"));
  for (size_t i = 0; i < extra->count; i++) {
    wr_headers_add(&headers, extra->items[i].name, extra->items[i].value);
  }
  wr_exchange_reply(x, status, &headers, wr_buf_str(&body));
  wr_buf_fini(&body);
}

// "weir; error=dns_error; details=\"…\"" (RFC 9209 2.1, RFC 8941 3.3.3). Who refused is no secret:
// the body says it too.
static void add_proxy_status(struct wr_headers *extra, const struct wr_error *error,
                             const char *detail)
{
  char text[2 * WR_ERROR_MESSAGE_MAX + 128];
  bool is_full = error->primitive[0] && strcmp(error->primitive, "bulkhead") == 0;
  const char *type = is_full ? "connection_limit_reached" : wr_error_proxy(error->kind);
  size_t len = (size_t)snprintf(text, sizeof(text), "weir; error=%s; details=\"", type);
  for (; *detail != '\0'; detail++) {
    if (*detail == '"' || *detail == '\\') text[len++] = '\\';
    text[len++] = *detail < ' ' || *detail > '~' ? '?' : *detail;
  }
  text[len++] = '"';
  wr_headers_add_copy(extra, WR_STR("Proxy-Status"), (struct wr_str){text, len});
}

void wr_problem_reply(struct wr_exchange *x, const struct wr_error *error,
                      const struct wr_headers *told)
{
  int status = wr_error_status(error->kind);
  struct wr_headers extra;
  wr_headers_init(&extra, wr_exchange_info(x)->region, FIELD_ROOM);
  for (size_t i = 0; told && i < told->count; i++) {
    wr_headers_add(&extra, told->items[i].name, told->items[i].value);
  }
  char text[24];
  if (is_refusal(status)) {
    snprintf(text, sizeof(text), "%llu",
             (unsigned long long)wr_problem_retry_after(error->after_ns));
    wr_headers_add_copy(&extra, WR_STR("Retry-After"), wr_str_of(text));
  }
  // What a script raised is for its author, not for the world.
  bool is_script = error->kind == WR_ERROR_SCRIPT;
  const char *detail = is_script ? "the policy for this request failed" : error->message;
  add_proxy_status(&extra, error, detail);
  reply(x, status, error, detail, &extra);
}

void wr_problem_reply_status(struct wr_exchange *x, int status, const char *detail,
                             struct wr_str name, struct wr_str value)
{
  struct wr_headers extra;
  wr_headers_init(&extra, wr_exchange_info(x)->region, FIELD_ROOM);
  if (name.ptr) wr_headers_add(&extra, name, value);
  reply(x, status, NULL, detail, &extra);
}
