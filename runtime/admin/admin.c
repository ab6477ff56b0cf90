#include "admin/admin.h"

#include "admin/actions.h"
#include "admin/primitives.h"
#include "base/alloc.h"
#include "base/check.h"
#include "http/uri.h"
#include "script/health_page.h"

#define CANARY_NS (120 * WR_SECOND)
#define CANARY_MAX_NS (86400 * WR_SECOND)

enum { STATUS_MAX = 1 << 20, METRICS_MAX = 64 << 20 };

struct wr_admin {
  struct wr_server *server;
  struct wr_loop *loop;
  bool is_tcp;
  struct wr_admin_ops ops;
};

struct wr_admin_waiter {
  struct wr_exchange *x; // NULL when the caller has left
};

// --- answering ----------------------------------------------------------------------------------

static void reply(struct wr_exchange *x, int status, const char *type, struct wr_str body)
{
  struct wr_headers headers;
  wr_headers_init(&headers, wr_exchange_info(x)->region, 4);
  wr_headers_add(&headers, WR_STR("Content-Type"), wr_str_of(type));
  wr_headers_add(&headers, WR_STR("Cache-Control"), WR_STR("no-store"));
  wr_exchange_reply(x, status, &headers, body);
}

static void reply_text(struct wr_exchange *x, int status, const char *text)
{
  reply(x, status, "text/plain; charset=utf-8", wr_str_of(text));
}

static void get_livez(struct wr_admin *a, struct wr_exchange *x)
{
  (void)a;
  reply_text(x, 200, "ok\n");
}

static void get_readyz(struct wr_admin *a, struct wr_exchange *x)
{
  bool ready = a->ops.is_ready(a->ops.ctx);
  reply_text(x, ready ? 200 : 503, ready ? "ready\n" : "not ready\n");
}

static void get_metrics(struct wr_admin *a, struct wr_exchange *x)
{
  struct wr_buf out;
  wr_buf_init(&out, METRICS_MAX);
  if (a->ops.write_metrics(a->ops.ctx, &out)) {
    reply(x, 200, "text/plain; version=0.0.4; charset=utf-8", wr_buf_str(&out));
  } else {
    reply_text(x, 500, "the metrics take more than 64 MiB\n");
  }
  wr_buf_fini(&out);
}

static void get_health(struct wr_admin *a, struct wr_exchange *x)
{
  struct wr_buf out;
  struct wr_json j;
  wr_buf_init(&out, WR_HEALTH_PAGE_MAX);
  wr_json_init(&j, &out);
  bool ok = a->ops.write_health(a->ops.ctx, &j);
  if (j.failed) {
    reply_text(x, 500, "the health page takes more than 4 MiB\n");
  } else {
    reply(x, ok ? 200 : 503, "application/health+json", wr_buf_str(&out));
  }
  wr_buf_fini(&out);
}

static void get_status(struct wr_admin *a, struct wr_exchange *x)
{
  struct wr_buf out;
  struct wr_json j;
  wr_buf_init(&out, STATUS_MAX);
  wr_json_init(&j, &out);
  a->ops.write_status(a->ops.ctx, &j);
  if (j.failed) {
    reply_text(x, 500, "the status takes more than 1 MiB\n");
  } else {
    reply(x, 200, "application/json", wr_buf_str(&out));
  }
  wr_buf_fini(&out);
}

static void get_generations(struct wr_admin *a, struct wr_exchange *x)
{
  struct wr_buf out;
  struct wr_json j;
  wr_buf_init(&out, STATUS_MAX);
  wr_json_init(&j, &out);
  a->ops.write_generations(a->ops.ctx, &j);
  reply(x, 200, "application/json", wr_buf_str(&out));
  wr_buf_fini(&out);
}

void wr_admin_answer(struct wr_admin_waiter *waiter, bool ok, struct wr_str json)
{
  struct wr_exchange *x = waiter->x;
  wr_free(waiter);
  if (x) reply(x, ok ? 200 : 422, "application/json", json);
}

// --- primitives ---------------------------------------------------------------------------------

static void get_kind(struct wr_admin *a, struct wr_exchange *x, enum wr_kind kind)
{
  struct wr_buf out;
  struct wr_json j;
  wr_buf_init(&out, STATUS_MAX);
  wr_json_init(&j, &out);
  wr_primitives_write_kind(a->ops.registry, kind, wr_loop_now(a->loop), &j);
  if (j.failed) {
    reply_text(x, 500, "the list takes more than 1 MiB\n");
  } else {
    reply(x, 200, "application/json", wr_buf_str(&out));
  }
  wr_buf_fini(&out);
}

static void reply_message(struct wr_exchange *x, int status, const char *message)
{
  struct wr_buf out;
  struct wr_json j;
  wr_buf_init(&out, STATUS_MAX);
  wr_json_init(&j, &out);
  wr_json_object(&j);
  wr_json_field_bool(&j, "ok", status == 200);
  wr_json_field_cstr(&j, "message", message);
  wr_json_object_end(&j);
  reply(x, status, "application/json", wr_buf_str(&out));
  wr_buf_fini(&out);
}

static int status_of(const struct wr_error *error)
{
  switch (error->kind) {
  case WR_ERROR_INVALID: return 400;
  case WR_ERROR_NO_ENDPOINT:
  case WR_ERROR_CLOSED: return 404;
  default: return 409;
  }
}

static void tell_log(struct wr_admin *a, const struct wr_action *action, struct wr_str name,
                     struct wr_str value)
{
  struct wr_json *j = wr_log_begin(a->ops.log, WR_LOG_WARN, "admin.action");
  if (j == NULL) return;
  wr_json_field_cstr(j, "kind", wr_registry_kind_name(action->kind));
  wr_json_field_str(j, "name", name);
  wr_json_field_cstr(j, "action", action->verb);
  if (value.ptr) wr_json_field_str(j, "value", value);
  wr_log_end(a->ops.log);
}

// The value of `key` in the query, decoded; absent when there is none.
static struct wr_str query_of(const struct wr_exchange_info *info, struct wr_str key)
{
  struct wr_str rest = info->head->query;
  while (rest.ptr) {
    struct wr_str value = wr_str_split(&rest, '&');
    struct wr_str name = wr_str_split(&value, '=');
    if (wr_str_eq(name, key)) return wr_uri_decode(value, info->region);
  }
  return (struct wr_str){NULL, 0};
}

static bool is_asked(const struct wr_exchange_info *info, struct wr_str key)
{
  return wr_str_eq(query_of(info, key), WR_STR("1"));
}

static void reply_done(struct wr_exchange *x, const struct wr_action *action, struct wr_str name)
{
  char text[WR_ENTRY_NAME_MAX + 128];
  snprintf(text, sizeof(text), "%s '%.*s': %s", wr_registry_kind_name(action->kind),
           WR_STR_ARG(name), action->told);
  reply_message(x, 200, text);
}

// POST /<plural>/VERB?name=…&value=…
static void post_action(struct wr_admin *a, struct wr_exchange *x, const struct wr_action *action)
{
  const struct wr_exchange_info *info = wr_exchange_info(x);
  struct wr_str name = query_of(info, WR_STR("name"));
  struct wr_error error;
  struct wr_action_call call = {.registry = a->ops.registry,
                                .value = query_of(info, WR_STR("value")),
                                .now_ns = wr_loop_now(a->loop)};
  if (name.ptr == NULL) {
    reply_message(x, 400, "say which: ?name=NAME");
  } else if (!wr_action_run(action, name, &call, &error)) {
    reply_message(x, status_of(&error), error.message);
  } else {
    tell_log(a, action, name, call.value);
    reply_done(x, action, name);
  }
}

// Answers what is below the list of a kind; false when the path is none of those.
static bool serve_primitives(struct wr_admin *a, struct wr_exchange *x, bool is_get)
{
  const struct wr_exchange_info *info = wr_exchange_info(x);
  struct wr_str rest = info->path;
  wr_str_split(&rest, '/');
  enum wr_kind kind = wr_primitives_kind(wr_str_split(&rest, '/'));
  if (kind == WR_KINDS) return false;
  bool is_post = wr_str_eq(info->head->method, WR_STR("POST"));
  const struct wr_action *action = rest.ptr ? wr_action_find(kind, rest) : NULL;
  if (rest.ptr && action == NULL) {
    reply_message(x, 404, "there is no such action");
  } else if (action && is_post) {
    post_action(a, x, action);
  } else if (action == NULL && is_get) {
    get_kind(a, x, kind);
  } else {
    reply_text(x, 405, "lists are read with GET, actions are asked for with POST\n");
  }
  return true;
}

// --- generations --------------------------------------------------------------------------------

// A generation's number in the query; 0 when none is given. False: what is given is none.
static bool read_number(const struct wr_exchange_info *info, struct wr_str key, uint64_t *number)
{
  struct wr_str text = query_of(info, key);
  *number = 0;
  if (text.ptr == NULL) return true;
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] < '0' || text.ptr[i] > '9' || i == 18) return false;
    *number = *number * 10 + (uint64_t)(text.ptr[i] - '0');
  }
  return *number != 0;
}

struct order {
  struct wr_admin *admin;
  const struct wr_exchange_info *info;
  uint64_t number, base; // of generations
  struct wr_admin_waiter *waiter;
  void **slot; // of its exchange
};

// The plan of a canary, if one is asked for. False with a set error.
static bool read_canary(const struct wr_exchange_info *info, struct wr_admin_reload *asked,
                        struct wr_error *error)
{
  struct wr_str share = query_of(info, WR_STR("canary"));
  struct wr_str time = query_of(info, WR_STR("for"));
  if (share.ptr == NULL) return true;
  if (!wr_canary_plan_parse(share, query_of(info, WR_STR("by")), &asked->canary, error))
    return false;
  asked->canary_ns = CANARY_NS;
  if (time.ptr == NULL) return true;
  bool is_time = wr_duration_parse(time, &asked->canary_ns);
  if (is_time && asked->canary_ns >= WR_SECOND && asked->canary_ns <= CANARY_MAX_NS) return true;
  wr_error_set(error, WR_ERROR_INVALID, "canary: '%.*s' is not a time from 1s to 24h",
               WR_STR_ARG(time));
  return false;
}

// The waiter is told at once.
static void refuse(const struct order *o, const char *message)
{
  struct wr_exchange *x = o->waiter->x;
  wr_free(o->waiter);
  *o->slot = NULL;
  reply_message(x, 400, message);
}

static void order_reload(const struct order *o)
{
  const struct wr_admin_ops *ops = &o->admin->ops;
  struct wr_admin_reload asked = {.is_forced = is_asked(o->info, WR_STR("force"))};
  struct wr_error error;
  if (is_asked(o->info, WR_STR("dry_run"))) {
    ops->compare(ops->ctx, o->waiter, 0, 0);
  } else if (read_canary(o->info, &asked, &error)) {
    ops->reload(ops->ctx, o->waiter, &asked);
  } else {
    refuse(o, error.message);
  }
}

static void order_rollback(const struct order *o)
{
  o->admin->ops.rollback(o->admin->ops.ctx, o->waiter);
}

static void order_promote(const struct order *o)
{
  if (!o->admin->ops.promote(o->admin->ops.ctx, o->waiter)) refuse(o, "there is no canary");
}

static void order_use(const struct order *o)
{
  const struct wr_admin_ops *ops = &o->admin->ops;
  ops->use(ops->ctx, o->waiter, o->number, is_asked(o->info, WR_STR("force")));
}

static void order_show(const struct order *o)
{
  o->admin->ops.show(o->admin->ops.ctx, o->waiter, o->number);
}

static void order_compare(const struct order *o)
{
  o->admin->ops.compare(o->admin->ops.ctx, o->waiter, o->base, o->number);
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
static bool serve_order(struct wr_admin *a, struct wr_exchange *x, bool is_get, void **slot)
{
  const struct wr_exchange_info *info = wr_exchange_info(x);
  size_t i = 0;
  while (i < WR_COUNT(orders) && !wr_str_eq(info->path, wr_str_of(orders[i].path))) i++;
  if (i == WR_COUNT(orders)) return false;
  struct order o = {.admin = a, .info = info};
  bool is_post = wr_str_eq(info->head->method, WR_STR("POST"));
  if (orders[i].is_post ? !is_post : !is_get) {
    reply_text(x, 405,
               orders[i].is_post ? "this is asked for with POST\n"
                                 : "this page is read with GET\n");
  } else if (!read_numbers(&o, i)) {
    reply_message(x, 400, "a generation is meant by its number, from 1: see GET /generations");
  } else {
    o.waiter = wr_alloc(sizeof(*o.waiter));
    o.waiter->x = x;
    o.slot = slot;
    *slot = o.waiter;
    orders[i].run(&o);
  }
  return true;
}

// --- requests -----------------------------------------------------------------------------------

static bool is_loopback_host(struct wr_str host)
{
  struct wr_str name = host;
  if (name.len > 0 && name.ptr[0] == '[')
    return wr_str_eq(wr_str_split(&name, ']'), WR_STR("[::1"));
  name = wr_str_split(&name, ':');
  return wr_str_eq(name, WR_STR("localhost")) || wr_str_eq(name, WR_STR("127.0.0.1"));
}

static const struct {
  const char *path;
  void (*get)(struct wr_admin *a, struct wr_exchange *x);
} pages[] = {
    {"/livez", get_livez},     {"/readyz", get_readyz}, {"/health", get_health},
    {"/metrics", get_metrics}, {"/status", get_status}, {"/generations", get_generations},
};

static void serve(struct wr_admin *a, struct wr_exchange *x, void **slot)
{
  const struct wr_exchange_info *info = wr_exchange_info(x);
  bool is_get =
      wr_str_eq(info->head->method, WR_STR("GET")) || wr_str_eq(info->head->method, WR_STR("HEAD"));
  for (size_t i = 0; i < WR_COUNT(pages); i++) {
    if (!wr_str_eq(info->path, wr_str_of(pages[i].path))) continue;
    if (is_get) {
      pages[i].get(a, x);
    } else {
      reply_text(x, 405, "this page is read with GET\n");
    }
    return;
  }
  if (serve_primitives(a, x, is_get) || serve_order(a, x, is_get, slot)) return;
  reply_text(x, 404,
             "there are /livez, /readyz, /health, /metrics, /status, /generations, /breakers and "
             "its like, and POST /reload\n");
}

// A browser says with every POST which page made it send that; nobody else has such a field.
static bool is_of_a_page(const struct wr_head *head)
{
  return wr_str_eq(head->method, WR_STR("POST")) &&
         wr_headers_get(&head->headers, WR_STR("Origin")).ptr != NULL;
}

static void on_request(void *ctx, struct wr_exchange *x, void **slot)
{
  struct wr_admin *a = ctx;
  const struct wr_head *head = wr_exchange_info(x)->head;
  if (a->is_tcp && !is_loopback_host(head->host)) {
    reply_text(x, 403, "the admin listener answers to loopback hosts only\n");
    return;
  }
  if (a->is_tcp && is_of_a_page(head)) {
    reply_text(x, 403, "the admin listener takes no orders from web pages\n");
    return;
  }
  serve(a, x, slot);
}

static bool on_body(void *slot, struct wr_exchange *x, struct wr_str data)
{
  (void)slot;
  (void)x;
  (void)data;
  return true;
}

static void ignore(void *slot, struct wr_exchange *x)
{
  (void)slot;
  (void)x;
}

// What keeps a caller waiting goes on without it.
static void on_gone(void *slot, struct wr_exchange *x, const struct wr_error *error)
{
  (void)error;
  struct wr_admin_waiter *waiter = slot;
  if (wr_exchange_is_responded(x)) return;
  if (waiter) waiter->x = NULL;
  wr_exchange_abort(x);
}

static const struct wr_http_hooks hooks = {on_request, on_body, ignore, ignore, on_gone, ignore};

struct wr_admin *wr_admin_new(struct wr_loop *l, int fd, bool is_tcp,
                              const struct wr_admin_ops *ops)
{
  struct wr_admin *a = wr_alloc(sizeof(*a));
  struct wr_server_options options = wr_server_options_default;
  options.is_admin = true;
  options.connections_max = 256;
  options.body_max = 64 * 1024;
  a->loop = l;
  a->is_tcp = is_tcp;
  a->ops = *ops;
  a->server = wr_server_new(l, &options, &hooks, a);
  WR_CHECK(wr_server_listen(a->server, fd, WR_STR("admin"), NULL) == 0);
  return a;
}

void wr_admin_close(struct wr_admin *a, void (*on_closed)(void *ctx), void *ctx)
{
  wr_server_drain(a->server, on_closed, ctx);
}

void wr_admin_abort(struct wr_admin *a)
{
  wr_server_abort(a->server);
}

void wr_admin_free(struct wr_admin *a)
{
  wr_server_free(a->server);
  wr_free(a);
}
