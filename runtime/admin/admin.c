#include "admin/admin.h"

#include "admin/actions.h"
#include "admin/asks.h"
#include "admin/assets.h"
#include "admin/audit.h"
#include "admin/gate.h"
#include "admin/log_page.h"
#include "admin/page.h"
#include "admin/plain.h"
#include "admin/primitives.h"
#include "admin/requests.h"
#include "admin/stream.h"
#include "base/alloc.h"
#include "base/check.h"
#include "script/health_page.h"

enum { METRICS_MAX = 64 << 20 };

struct wr_admin {
  struct wr_server *server;
  struct wr_loop *loop;
  struct wr_gate gate;
  struct wr_streams streams;
  struct wr_admin_ops ops;
};

// One request. Lives in its exchange's memory.
struct visit {
  struct wr_admin *admin;
  struct wr_admin_waiter *waiter; // NULL: it waits for nothing
  struct wr_stream *stream;       // NULL: it watches nothing
};

// --- answering ----------------------------------------------------------------------------------

static void get_livez(struct wr_admin *a, struct wr_exchange *x)
{
  (void)a;
  wr_page_reply_text(x, 200, "ok\n");
}

static void get_readyz(struct wr_admin *a, struct wr_exchange *x)
{
  bool ready = a->ops.is_ready(a->ops.ctx);
  wr_page_reply_text(x, ready ? 200 : 503, ready ? "ready\n" : "not ready\n");
}

// Prometheus asks for it when it wants exemplars.
static bool wants_openmetrics(struct wr_exchange *x)
{
  static const struct wr_str type = {"application/openmetrics-text", 28};
  const struct wr_head *head = wr_exchange_info(x)->head;
  struct wr_str accept = wr_headers_get(&head->headers, WR_STR("Accept"));
  return accept.ptr && memmem(accept.ptr, accept.len, type.ptr, type.len) != NULL;
}

static void get_metrics(struct wr_admin *a, struct wr_exchange *x)
{
  struct wr_buf out;
  bool is_open = wants_openmetrics(x);
  wr_buf_init(&out, METRICS_MAX);
  if (a->ops.write_metrics(a->ops.ctx, is_open, &out)) {
    wr_page_reply(x, 200,
                  is_open ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                          : "text/plain; version=0.0.4; charset=utf-8",
                  wr_buf_str(&out));
  } else {
    wr_page_reply_text(x, 500, "the metrics take more than 64 MiB\n");
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
    wr_page_reply_text(x, 500, "the health page takes more than 4 MiB\n");
  } else {
    wr_page_reply(x, ok ? 200 : 503, "application/health+json", wr_buf_str(&out));
  }
  wr_buf_fini(&out);
}

static void get_status(struct wr_admin *a, struct wr_exchange *x)
{
  struct wr_buf out;
  struct wr_json j;
  wr_buf_init(&out, WR_PAGE_MAX);
  wr_json_init(&j, &out);
  a->ops.write_status(a->ops.ctx, &j);
  if (j.failed) {
    wr_page_reply_text(x, 500, "the status takes more than 1 MiB\n");
  } else {
    wr_page_reply(x, 200, "application/json", wr_buf_str(&out));
  }
  wr_buf_fini(&out);
}

// The status again, without scripts; tags take some room.
static void get_plain(struct wr_admin *a, struct wr_exchange *x)
{
  struct wr_buf json;
  struct wr_buf out;
  struct wr_json j;
  wr_buf_init(&json, WR_PAGE_MAX);
  wr_buf_init(&out, 4 * WR_PAGE_MAX);
  wr_json_init(&j, &json);
  a->ops.write_status(a->ops.ctx, &j);
  if (!j.failed && wr_plain_write(wr_buf_str(&json), &out)) {
    wr_asset_reply(x, "text/html", wr_buf_str(&out));
  } else {
    wr_page_reply_text(x, 500, "the status takes more than 1 MiB\n");
  }
  wr_buf_fini(&out);
  wr_buf_fini(&json);
}

static void get_generations(struct wr_admin *a, struct wr_exchange *x)
{
  struct wr_buf out;
  struct wr_json j;
  wr_buf_init(&out, WR_PAGE_MAX);
  wr_json_init(&j, &out);
  a->ops.write_generations(a->ops.ctx, &j);
  wr_page_reply(x, 200, "application/json", wr_buf_str(&out));
  wr_buf_fini(&out);
}

// --- primitives ---------------------------------------------------------------------------------

static void get_kind(struct wr_admin *a, struct wr_exchange *x, enum wr_kind kind)
{
  struct wr_buf out;
  struct wr_json j;
  wr_buf_init(&out, WR_PAGE_MAX);
  wr_json_init(&j, &out);
  wr_primitives_write_kind(a->ops.registry, kind, wr_loop_now(a->loop), &j);
  if (j.failed) {
    wr_page_reply_text(x, 500, "the list takes more than 1 MiB\n");
  } else {
    wr_page_reply(x, 200, "application/json", wr_buf_str(&out));
  }
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

static void reply_done(struct wr_exchange *x, const struct wr_action *action, struct wr_str name)
{
  char text[WR_ENTRY_NAME_MAX + 128];
  snprintf(text, sizeof(text), "%s '%.*s': %s", wr_registry_kind_name(action->kind),
           WR_STR_ARG(name), action->told);
  wr_page_reply_message(x, 200, text);
}

// POST /<plural>/VERB?name=…&value=…
static void post_action(struct wr_admin *a, struct wr_exchange *x, const struct wr_action *action)
{
  const struct wr_exchange_info *info = wr_exchange_info(x);
  struct wr_str name = wr_page_query(info, WR_STR("name"));
  struct wr_error error;
  char by[WR_AUDIT_WHO];
  wr_audit_name(x, a->gate.is_tcp, by);
  struct wr_action_call call = {.registry = a->ops.registry,
                                .value = wr_page_query(info, WR_STR("value")),
                                .by = by,
                                .now_ns = wr_loop_now(a->loop)};
  if (name.ptr == NULL) {
    wr_page_reply_message(x, 400, "say which: ?name=NAME");
  } else if (!wr_action_run(action, name, &call, &error)) {
    wr_page_reply_message(x, status_of(&error), error.message);
  } else {
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
    wr_page_reply_message(x, 404, "there is no such action");
  } else if (action && is_post) {
    post_action(a, x, action);
  } else if (action == NULL && is_get) {
    get_kind(a, x, kind);
  } else {
    wr_page_reply_text(x, 405, "lists are read with GET, actions are asked for with POST\n");
  }
  return true;
}

// --- requests -----------------------------------------------------------------------------------

static void get_requests(struct wr_admin *a, struct wr_exchange *x)
{
  wr_requests_list(&a->ops, x);
}

static void get_request(struct wr_admin *a, struct wr_exchange *x)
{
  wr_requests_show(&a->ops, x);
}

static const struct {
  const char *path;
  void (*get)(struct wr_admin *a, struct wr_exchange *x);
} pages[] = {
    {"/livez", get_livez},       {"/readyz", get_readyz},         {"/health", get_health},
    {"/metrics", get_metrics},   {"/status", get_status},         {"/generations", get_generations},
    {"/requests", get_requests}, {"/requests/show", get_request}, {"/plain", get_plain},
};

// False: the path is no page's.
static bool serve_page(struct wr_admin *a, struct wr_exchange *x, bool is_get)
{
  struct wr_str path = wr_exchange_info(x)->path;
  const struct wr_asset *asset = wr_asset_find(path);
  size_t i = 0;
  while (i < WR_COUNT(pages) && !wr_str_eq(path, wr_str_of(pages[i].path))) i++;
  if (asset == NULL && i == WR_COUNT(pages)) return false;
  if (!is_get) {
    wr_page_reply_text(x, 405, "this page is read with GET\n");
  } else if (asset) {
    wr_asset_serve(asset, x);
  } else {
    pages[i].get(a, x);
  }
  return true;
}

static void serve_stream(struct visit *v, struct wr_exchange *x, bool is_lines)
{
  if (wr_str_eq(wr_exchange_info(x)->head->method, WR_STR("GET"))) {
    v->stream = wr_streams_open(&v->admin->streams, x, is_lines);
  } else {
    wr_page_reply_text(x, 405, "this stream is read with GET\n");
  }
}

static void serve(struct visit *v, struct wr_exchange *x)
{
  struct wr_admin *a = v->admin;
  const struct wr_exchange_info *info = wr_exchange_info(x);
  struct wr_str method = info->head->method;
  bool is_get = wr_str_eq(method, WR_STR("GET")) || wr_str_eq(method, WR_STR("HEAD"));
  if (serve_page(a, x, is_get)) return;
  bool is_lines = wr_str_eq(info->path, WR_STR("/lines"));
  if (is_lines || wr_str_eq(info->path, WR_STR("/events"))) {
    serve_stream(v, x, is_lines);
    return;
  }
  if (wr_str_eq(info->path, WR_STR("/log"))) {
    wr_log_page_serve(&a->ops, x);
    return;
  }
  if (serve_primitives(a, x, is_get) || wr_asks_serve(&a->ops, x, &v->waiter)) return;
  wr_page_reply_text(x, 404, "there is no such page; GET /openapi.json says what there is\n");
}

static void on_request(void *ctx, struct wr_exchange *x, void **slot)
{
  struct wr_admin *a = ctx;
  struct visit *v = wr_region_take(wr_exchange_info(x)->region, sizeof(*v));
  WR_CHECK(v != NULL); // a head leaves room for it
  *v = (struct visit){.admin = a};
  *slot = v;
  if (wr_gate_admits(&a->gate, x)) serve(v, x);
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

static void on_writable(void *slot, struct wr_exchange *x)
{
  struct visit *v = slot;
  (void)x;
  if (v->stream) wr_stream_writable(v->stream);
}

// What keeps a caller waiting goes on without it.
static void on_gone(void *slot, struct wr_exchange *x, const struct wr_error *error)
{
  struct visit *v = slot;
  (void)error;
  if (v->stream) wr_stream_leave(v->stream);
  if (wr_exchange_is_responded(x) && v->stream == NULL) return;
  if (v->waiter) wr_asks_leave(v->waiter);
  wr_exchange_abort(x);
}

static void on_end(void *slot, struct wr_exchange *x)
{
  struct visit *v = slot;
  bool is_post = wr_str_eq(wr_exchange_info(x)->head->method, WR_STR("POST"));
  if (v->stream) wr_stream_free(v->stream);
  if (is_post) wr_audit_write(v->admin->ops.log, x, v->admin->gate.is_tcp);
}

static const struct wr_http_hooks hooks = {on_request,  on_body, ignore,
                                           on_writable, on_gone, on_end};

struct wr_admin *wr_admin_new(struct wr_loop *l, int fd, bool is_tcp, const char *token,
                              const struct wr_admin_ops *ops)
{
  struct wr_admin *a = wr_alloc(sizeof(*a));
  struct wr_server_options options = wr_server_options_default;
  options.is_admin = true;
  options.connections_max = 256;
  options.body_max = 64 * 1024;
  a->loop = l;
  a->gate = (struct wr_gate){.is_tcp = is_tcp, .token = token};
  a->ops = *ops;
  wr_streams_init(&a->streams, l, &a->ops);
  a->server = wr_server_new(l, &options, &hooks, a);
  WR_CHECK(wr_server_listen(a->server, fd, WR_STR("admin"), NULL) == 0);
  return a;
}

void wr_admin_rest(struct wr_admin *a)
{
  wr_streams_end(&a->streams);
  wr_server_retire(a->server, NULL, NULL);
}

void wr_admin_resume(struct wr_admin *a, int fd)
{
  wr_server_resume(a->server);
  WR_CHECK(wr_server_listen(a->server, fd, WR_STR("admin"), NULL) == 0);
}

size_t wr_admin_open_count(const struct wr_admin *a)
{
  return wr_server_stats(a->server)->open;
}

void wr_admin_close(struct wr_admin *a, void (*on_closed)(void *ctx), void *ctx)
{
  wr_streams_end(&a->streams);
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
