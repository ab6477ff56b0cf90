#include "admin/asks.h"

#include "admin/page.h"
#include "base/alloc.h"
#include "base/check.h"

#include <fcntl.h>

#define PROBATION_NS (120 * WR_SECOND)
#define PROBATION_MAX_NS (86400 * WR_SECOND)

struct wr_admin_waiter {
  struct wr_exchange *x; // NULL when the caller has left
};

void wr_admin_answer(struct wr_admin_waiter *waiter, bool ok, struct wr_str json)
{
  struct wr_exchange *x = waiter->x;
  wr_free(waiter);
  if (x) wr_page_reply(x, ok ? 200 : 422, "application/json", json);
}

void wr_admin_refused(struct wr_admin_waiter *waiter, const char *why)
{
  struct wr_exchange *x = waiter->x;
  wr_free(waiter);
  if (x) wr_page_reply_message(x, 409, why);
}

int wr_admin_waiter_fd(const struct wr_admin_waiter *waiter)
{
  if (waiter == NULL || waiter->x == NULL) return -1;
  return fcntl(wr_server_descriptor(waiter->x), F_DUPFD_CLOEXEC, 0);
}

// A generation's number in the query; 0 when none is given. False: what is given is none.
static bool read_number(const struct wr_exchange_info *info, struct wr_str key, uint64_t *number)
{
  struct wr_str text = wr_page_query(info, key);
  *number = 0;
  if (text.ptr == NULL) return true;
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] < '0' || text.ptr[i] > '9' || i == 18) return false;
    *number = *number * 10 + (uint64_t)(text.ptr[i] - '0');
  }
  return *number != 0;
}

struct order {
  const struct wr_admin_ops *ops;
  const struct wr_exchange_info *info;
  uint64_t number, base; // of generations
  struct wr_admin_waiter *waiter;
  struct wr_admin_waiter **slot; // of its exchange
};

static bool read_time(const struct wr_exchange_info *info, uint64_t *ns, struct wr_error *error)
{
  struct wr_str time = wr_page_query(info, WR_STR("for"));
  *ns = PROBATION_NS;
  if (time.ptr == NULL) return true;
  if (wr_duration_parse(time, ns) && *ns >= WR_SECOND && *ns <= PROBATION_MAX_NS) return true;
  wr_error_set(error, WR_ERROR_INVALID, "for: '%.*s' is not a time from 1s to 24h",
               WR_STR_ARG(time));
  return false;
}

// How it is on probation, if at all. False with a set error.
static bool read_reload(const struct wr_exchange_info *info, struct wr_admin_reload *asked,
                        struct wr_error *error)
{
  struct wr_str share = wr_page_query(info, WR_STR("canary"));
  struct wr_str header = wr_page_query(info, WR_STR("by"));
  *asked = (struct wr_admin_reload){.is_forced = wr_page_asks(info, WR_STR("force")),
                                    .is_shadow = wr_page_asks(info, WR_STR("shadow"))};
  if (share.ptr && asked->is_shadow) {
    wr_error_set(error, WR_ERROR_INVALID, "it is a canary or a shadow, not both");
    return false;
  }
  return read_time(info, &asked->for_ns, error) &&
         (share.ptr == NULL || wr_canary_plan_parse(share, header, &asked->canary, error));
}

// The waiter is told at once.
static void refuse(const struct order *o, const char *message)
{
  struct wr_exchange *x = o->waiter->x;
  wr_free(o->waiter);
  *o->slot = NULL;
  wr_page_reply_message(x, 400, message);
}

static void order_reload(const struct order *o)
{
  const struct wr_admin_ops *ops = o->ops;
  struct wr_admin_reload asked;
  struct wr_error error;
  if (wr_page_asks(o->info, WR_STR("dry_run"))) {
    ops->compare(ops->ctx, o->waiter, 0, 0);
  } else if (read_reload(o->info, &asked, &error)) {
    ops->reload(ops->ctx, o->waiter, &asked);
  } else {
    refuse(o, error.message);
  }
}

static void order_upgrade(const struct order *o)
{
  o->ops->upgrade(o->ops->ctx, o->waiter);
}

static void order_rollback(const struct order *o)
{
  o->ops->rollback(o->ops->ctx, o->waiter);
}

static void order_promote(const struct order *o)
{
  if (!o->ops->promote(o->ops->ctx, o->waiter)) refuse(o, "there is no canary");
}

static void order_use(const struct order *o)
{
  const struct wr_admin_ops *ops = o->ops;
  ops->use(ops->ctx, o->waiter, o->number, wr_page_asks(o->info, WR_STR("force")));
}

static void order_show(const struct order *o)
{
  o->ops->show(o->ops->ctx, o->waiter, o->number);
}

static void order_compare(const struct order *o)
{
  o->ops->compare(o->ops->ctx, o->waiter, o->base, o->number);
}

// What is answered when it is done.
static const struct {
  const char *path;
  bool is_post;
  bool needs_number;
  struct wr_str number, base; // of the query; absent: not taken
  void (*run)(const struct order *o);
} orders[] = {
    {"/reload", true, false, {NULL, 0}, {NULL, 0}, order_reload},
    {"/upgrade", true, false, {NULL, 0}, {NULL, 0}, order_upgrade},
    {"/generations/use", true, true, {"number", sizeof("number") - 1}, {NULL, 0}, order_use},
    {"/generations/rollback", true, false, {NULL, 0}, {NULL, 0}, order_rollback},
    {"/generations/promote", true, false, {NULL, 0}, {NULL, 0}, order_promote},
    {"/generations/show", false, false, {"of", sizeof("of") - 1}, {NULL, 0}, order_show},
    {"/generations/changes",
     false,
     false,
     {"to", sizeof("to") - 1},
     {"from", sizeof("from") - 1},
     order_compare},
};

static bool read_numbers(struct order *o, size_t i)
{
  if (orders[i].number.ptr && !read_number(o->info, orders[i].number, &o->number)) return false;
  if (orders[i].base.ptr && !read_number(o->info, orders[i].base, &o->base)) return false;
  return o->number != 0 || !orders[i].needs_number;
}

// False: the path is none of these.
bool wr_asks_serve(const struct wr_admin_ops *ops, struct wr_exchange *x,
                   struct wr_admin_waiter **slot)
{
  const struct wr_exchange_info *info = wr_exchange_info(x);
  size_t i = 0;
  while (i < WR_COUNT(orders) && !wr_str_eq(info->path, wr_str_of(orders[i].path))) i++;
  if (i == WR_COUNT(orders)) return false;
  struct order o = {.ops = ops, .info = info};
  struct wr_str method = info->head->method;
  bool is_post = wr_str_eq(method, WR_STR("POST"));
  bool is_get = wr_str_eq(method, WR_STR("GET")) || wr_str_eq(method, WR_STR("HEAD"));
  if (orders[i].is_post ? !is_post : !is_get) {
    wr_page_reply_text(x, 405,
                       orders[i].is_post ? "this is asked for with POST\n"
                                         : "this page is read with GET\n");
  } else if (!read_numbers(&o, i)) {
    wr_page_reply_message(x, 400,
                          "a generation is meant by its number, from 1: see GET /generations");
  } else {
    o.waiter = wr_alloc(sizeof(*o.waiter));
    o.waiter->x = x;
    o.slot = slot;
    *slot = o.waiter;
    orders[i].run(&o);
  }
  return true;
}

void wr_asks_leave(struct wr_admin_waiter *waiter)
{
  waiter->x = NULL;
}
