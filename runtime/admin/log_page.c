#include "admin/log_page.h"

#include "admin/page.h"
#include "arena/loudness.h"

enum { ROOM = 256 };

static void put_level(const struct wr_arena *a, enum wr_log_level own, struct wr_json *j)
{
  wr_json_object(j);
  wr_json_field_cstr(j, "level", wr_log_level_name(wr_loudness_level(a, own)));
  wr_json_field_cstr(j, "started_with", wr_log_level_name(own));
  wr_json_object_end(j);
}

void wr_log_page_write(const struct wr_arena *a, enum wr_log_level own, struct wr_json *j)
{
  wr_json_key(j, "log");
  put_level(a, own, j);
}

static void get(const struct wr_admin_ops *ops, struct wr_exchange *x)
{
  struct wr_buf out;
  struct wr_json j;
  wr_buf_init(&out, ROOM);
  wr_json_init(&j, &out);
  put_level(ops->registry->arena, ops->log_level, &j);
  wr_page_reply(x, 200, "application/json", wr_buf_str(&out));
  wr_buf_fini(&out);
}

static void post(const struct wr_admin_ops *ops, struct wr_exchange *x)
{
  const struct wr_arena *a = ops->registry->arena;
  struct wr_str wanted = wr_page_query(wr_exchange_info(x), WR_STR("level"));
  enum wr_log_level level = ops->log_level;
  bool is_reset = wr_str_eq(wanted, WR_STR("reset"));
  if (!is_reset && !wr_log_level_find(wanted, &level)) {
    wr_page_reply_message(x, 400, "say ?level=debug, info, warn, error or reset");
    return;
  }
  is_reset ? wr_loudness_reset(a) : wr_loudness_order(a, level);
  wr_page_reply_message(x, 200,
                        is_reset ? "the log is as it was started"
                                 : "all processes log so from now on, until `reset`");
}

void wr_log_page_serve(const struct wr_admin_ops *ops, struct wr_exchange *x)
{
  struct wr_str method = wr_exchange_info(x)->head->method;
  if (wr_str_eq(method, WR_STR("POST"))) {
    post(ops, x);
  } else if (wr_str_eq(method, WR_STR("GET")) || wr_str_eq(method, WR_STR("HEAD"))) {
    get(ops, x);
  } else {
    wr_page_reply_text(x, 405, "the level is read with GET and set with POST\n");
  }
}
