#include "admin/requests.h"

#include "admin/page.h"

enum { LIMIT_DEFAULT = 50, PAGE_BYTES = 4 << 20 };

static bool read_limit(struct wr_str text, size_t *limit)
{
  *limit = LIMIT_DEFAULT;
  if (text.ptr == NULL) return true;
  *limit = 0;
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] < '0' || text.ptr[i] > '9' || *limit > WR_REQUESTS_MAX) return false;
    *limit = *limit * 10 + (size_t)(text.ptr[i] - '0');
  }
  return *limit <= WR_REQUESTS_MAX;
}

void wr_requests_list(const struct wr_admin_ops *ops, struct wr_exchange *x)
{
  const struct wr_exchange_info *info = wr_exchange_info(x);
  size_t limit = 0;
  if (!read_limit(wr_page_query(info, WR_STR("limit")), &limit)) {
    wr_page_reply_message(x, 400, "limit is a number from 0 to 1000");
    return;
  }
  struct wr_buf out;
  struct wr_json j;
  wr_buf_init(&out, PAGE_BYTES);
  wr_json_init(&j, &out);
  ops->write_requests(ops->ctx, wr_page_asks(info, WR_STR("failed")), limit, &j);
  if (j.failed) {
    wr_page_reply_message(x, 500, "the list takes more than 4 MiB: ask for fewer (limit=N)");
  } else {
    wr_page_reply(x, 200, "application/json", wr_buf_str(&out));
  }
  wr_buf_fini(&out);
}

void wr_requests_show(const struct wr_admin_ops *ops, struct wr_exchange *x)
{
  struct wr_str id = wr_page_query(wr_exchange_info(x), WR_STR("id"));
  if (id.ptr == NULL) {
    wr_page_reply_message(x, 400, "say which: ?id=ID, the X-Request-ID of its answer");
    return;
  }
  struct wr_buf out;
  struct wr_json j;
  wr_buf_init(&out, PAGE_BYTES);
  wr_json_init(&j, &out);
  if (ops->write_request(ops->ctx, id, &j)) {
    wr_page_reply(x, 200, "application/json", wr_buf_str(&out));
  } else {
    wr_page_reply_message(x, 404,
                          "no such request is kept: it is under way, older than the ones "
                          "that there is room for, or was never here");
  }
  wr_buf_fini(&out);
}
