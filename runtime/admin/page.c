#include "admin/page.h"

#include "base/json.h"
#include "http/uri.h"

enum { MESSAGE_ROOM = 64 * 1024 };

void wr_page_reply(struct wr_exchange *x, int status, const char *type, struct wr_str body)
{
  struct wr_headers headers;
  wr_headers_init(&headers, wr_exchange_info(x)->region, 4);
  wr_headers_add(&headers, WR_STR("Content-Type"), wr_str_of(type));
  wr_headers_add(&headers, WR_STR("Cache-Control"), WR_STR("no-store"));
  wr_exchange_reply(x, status, &headers, body);
}

void wr_page_reply_text(struct wr_exchange *x, int status, const char *text)
{
  wr_page_reply(x, status, "text/plain; charset=utf-8", wr_str_of(text));
}

void wr_page_reply_message(struct wr_exchange *x, int status, const char *message)
{
  struct wr_buf out;
  struct wr_json j;
  wr_buf_init(&out, MESSAGE_ROOM);
  wr_json_init(&j, &out);
  wr_json_object(&j);
  wr_json_field_bool(&j, "ok", status == 200);
  wr_json_field_cstr(&j, "message", message);
  wr_json_object_end(&j);
  wr_page_reply(x, status, "application/json", wr_buf_str(&out));
  wr_buf_fini(&out);
}

void wr_page_ask_for_token(struct wr_exchange *x)
{
  struct wr_headers headers;
  wr_headers_init(&headers, wr_exchange_info(x)->region, 4);
  wr_headers_add(&headers, WR_STR("Content-Type"), WR_STR("text/plain; charset=utf-8"));
  wr_headers_add(&headers, WR_STR("WWW-Authenticate"), WR_STR("Bearer realm=\"weir\""));
  wr_headers_add(&headers, WR_STR("WWW-Authenticate"), WR_STR("Basic realm=\"weir\""));
  wr_exchange_reply(x, 401, &headers, WR_STR("show the token of --admin-token-file\n"));
}

struct wr_str wr_page_query(const struct wr_exchange_info *info, struct wr_str key)
{
  struct wr_str rest = info->head->query;
  while (rest.ptr) {
    struct wr_str value = wr_str_split(&rest, '&');
    struct wr_str name = wr_str_split(&value, '=');
    if (wr_str_eq(name, key)) return wr_uri_decode(value, info->region);
  }
  return (struct wr_str){NULL, 0};
}

bool wr_page_asks(const struct wr_exchange_info *info, struct wr_str key)
{
  return wr_str_eq(wr_page_query(info, key), WR_STR("1"));
}
