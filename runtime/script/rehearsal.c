#include "script/rehearsal.h"

#include "base/alloc.h"
#include "base/check.h"
#include "script/bind_error.h"
#include "script/handler.h"
#include "script/response.h"

#include <lauxlib.h>

enum { BODY_BYTES = 8 * 1024 * 1024, PIECE_BYTES = 16 * 1024, REGION_BYTES = 256 * 1024 };

// A scripted upstream.
struct part {
  struct wr_list link;
  char *name;
  int fn_ref;
};

struct stage {
  struct wr_transport base;
  struct wr_rehearsal *rehearsal;
  struct wr_list calls;
};

struct call {
  struct wr_transfer base;
  struct wr_list link;
  struct wr_transfer_stats stats;
  const struct wr_transfer_events *events;
  void *ctx;
  struct wr_region region;
  struct wr_str method, target, authority;
  char *name; // whose function answers
  struct wr_headers headers;
  struct wr_buf upload;
  struct wr_buf answer; // body that is still to be told
  struct wr_timer timer;
  struct wr_deferred work; // starts the function, or goes on telling
  struct wr_task *task;    // the function
  enum { CALL_ASKS, CALL_WAITS, CALL_TELLS } step;
  bool is_https, is_idempotent, is_paused;
  bool is_busy;      // a callback is being called
  bool is_cancelled; // from inside of it
};

static struct stage *stage_of(struct wr_transport *tr)
{
  return WR_CONTAINER(tr, struct stage, base);
}

static struct call *call_of(struct wr_transfer *t)
{
  return WR_CONTAINER(t, struct call, base);
}

static struct wr_rehearsal *rehearsal_of(const struct call *c)
{
  return stage_of(c->base.transport)->rehearsal;
}

// Ending

static void free_call(struct call *c)
{
  struct wr_task *task = c->task;
  if (task) task->ctx = c->task = NULL;
  wr_timer_stop(&c->timer);
  wr_loop_undefer(&c->work);
  wr_list_remove(&c->link);
  wr_buf_fini(&c->upload);
  wr_buf_fini(&c->answer);
  wr_region_fini(&c->region);
  wr_free(c->name);
  wr_free(c);
  if (task) wr_task_cancel(task);
}

static void end(struct call *c, const struct wr_error *error)
{
  c->is_busy = true;
  c->events->on_end(c->ctx, &c->base, error);
  free_call(c);
}

static void fail(struct call *c, const struct wr_error *error)
{
  struct wr_error known = *error;
  bool has_left =
      known.kind != WR_ERROR_CONNECT && known.kind != WR_ERROR_DNS && known.kind != WR_ERROR_TLS;
  known.sent = has_left ? WR_SENT_HEAD : WR_SENT_NOTHING;
  known.retryable = !has_left || c->is_idempotent;
  end(c, &known);
}

// Answering

// In pieces, as from a socket: who reads may hold it back.
static void tell_body(struct call *c)
{
  static const struct wr_error none = {.kind = WR_ERROR_NONE, .sent = WR_SENT_BODY};
  while (c->answer.len > 0 && !c->is_paused) {
    struct wr_str piece = wr_buf_str(&c->answer);
    if (piece.len > PIECE_BYTES) piece.len = PIECE_BYTES;
    c->is_busy = true;
    c->is_paused = !c->events->on_data(c->ctx, &c->base, piece);
    c->is_busy = false;
    if (c->is_cancelled) {
      free_call(c);
      return;
    }
    wr_buf_drop(&c->answer, piece.len);
  }
  if (!c->is_paused) end(c, &none);
}

static void tell(struct call *c, int status, const struct wr_headers *headers)
{
  bool is_head = wr_str_eq(c->method, WR_STR("HEAD"));
  struct wr_transfer_head head = {.status = status,
                                  .minor = 1,
                                  .headers = headers,
                                  .has_length = status != 204 && status != 304,
                                  .length = c->answer.len};
  c->step = CALL_TELLS;
  wr_timer_stop(&c->timer);
  if (is_head || !head.has_length) wr_buf_drop(&c->answer, c->answer.len);
  c->stats.first_byte_ns = 1;
  c->is_busy = true;
  c->events->on_head(c->ctx, &c->base, &head);
  c->is_busy = false;
  if (c->is_cancelled) {
    free_call(c);
  } else {
    tell_body(c);
  }
}

// Outside of Lua nothing may raise, and the library has looked at the types.
static struct wr_str str_at(lua_State *L, int index)
{
  struct wr_str s = {NULL, 0};
  s.ptr = lua_tolstring(L, index, &s.len);
  return s;
}

// A list of names and values in turn.
static void read_fields(lua_State *L, int index, struct wr_headers *out)
{
  int count = lua_istable(L, index) ? (int)lua_objlen(L, index) : 0;
  for (int i = 1; i < count; i += 2) {
    lua_rawgeti(L, index, i);
    lua_rawgeti(L, index, i + 1);
    wr_headers_add_copy(out, str_at(L, -2), str_at(L, -1));
    lua_pop(L, 2);
  }
}

static void answer(struct call *c, lua_State *L, int values)
{
  struct wr_error error;
  if (values >= 3 && lua_isnumber(L, 1)) {
    struct wr_headers headers;
    wr_headers_init(&headers, &c->region, WR_RESPONSE_HEADERS_MAX);
    read_fields(L, 2, &headers);
    if (wr_buf_append_str(&c->answer, str_at(L, 3))) {
      tell(c, (int)lua_tointeger(L, 1), &headers);
      return;
    }
    wr_error_set(&error, WR_ERROR_TOO_LARGE, "a scripted answer is larger than %d bytes",
                 BODY_BYTES);
  } else if (values < 2 || !wr_bind_error_read(L, 2, &error)) {
    wr_error_set(&error, WR_ERROR_CONNECT, "'%s' answers nothing", c->name);
  }
  fail(c, &error);
}

static void on_end(struct wr_task *t, enum wr_task_end ended, int values)
{
  struct call *c = t->ctx;
  if (c == NULL) return;
  c->task = NULL;
  struct wr_rehearsal *r = rehearsal_of(c);
  if (ended == WR_TASK_RETURNED) {
    answer(c, t->co, values);
    return;
  }
  struct wr_error error;
  wr_error_set(&error, WR_ERROR_CONNECT, "the function that answers for '%s' ended badly", c->name);
  if (ended == WR_TASK_RAISED && !r->has_failed) {
    r->has_failed = true;
    wr_handler_describe(t, &r->failure);
  }
  fail(c, &error);
}

// Asking

static const struct part *find_part(const struct wr_rehearsal *r, const char *name)
{
  const struct part *found = NULL;
  WR_LIST_EACH(&r->parts, node) {
    const struct part *part = WR_CONTAINER(node, struct part, link);
    if (strcmp(part->name, name) == 0) found = part; // the last one that was said
  }
  return found;
}

static void push_str(lua_State *L, struct wr_str s)
{
  lua_pushlstring(L, s.ptr ? s.ptr : "", s.len);
}

static int push_question(lua_State *L, struct call *c)
{
  push_str(L, c->method);
  push_str(L, c->target);
  push_str(L, c->authority);
  lua_createtable(L, (int)c->headers.count * 2, 0);
  for (size_t i = 0; i < c->headers.count; i++) {
    push_str(L, c->headers.items[i].name);
    lua_rawseti(L, -2, (int)i * 2 + 1);
    push_str(L, c->headers.items[i].value);
    lua_rawseti(L, -2, (int)i * 2 + 2);
  }
  push_str(L, wr_buf_str(&c->upload));
  return 5;
}

static void ask(struct call *c)
{
  struct wr_rehearsal *r = rehearsal_of(c);
  const struct part *part = find_part(r, c->name);
  struct wr_error error;
  if (part == NULL) {
    wr_error_set(&error, WR_ERROR_CONNECT,
                 "no answers are scripted for '%s': t:upstream(\"%s\", …)", c->name, c->name);
    fail(c, &error);
    return;
  }
  lua_State *L = r->script->vm.L;
  lua_rawgeti(L, LUA_REGISTRYINDEX, part->fn_ref);
  int nargs = push_question(L, c);
  c->step = CALL_WAITS;
  c->task = wr_task_new(r->script, L, nargs, NULL, &error);
  if (c->task == NULL) {
    fail(c, &error);
    return;
  }
  c->task->ctx = c;
  c->task->on_end = on_end;
  wr_task_start(c->task);
}

static void on_work(struct wr_deferred *d)
{
  struct call *c = WR_CONTAINER(d, struct call, work);
  if (c->step == CALL_ASKS) {
    ask(c);
  } else if (c->step == CALL_TELLS) {
    tell_body(c);
  }
}

static void on_timer(struct wr_timer *timer)
{
  struct call *c = WR_CONTAINER(timer, struct call, timer);
  struct wr_error error;
  wr_error_set(&error, WR_ERROR_TIMEOUT, "'%s' has not answered in time", c->name);
  fail(c, &error);
}

// The transport

// The name of its upstream, or "http://authority" without one.
static char *name_of(const struct wr_transfer_request *rq)
{
  const struct wr_response *r = rq->ctx; // all calls of scripts are fetches
  if (r->upstream) return wr_strdup(r->upstream->name);
  size_t size = rq->authority.len + sizeof("https://");
  char *name = wr_alloc(size);
  snprintf(name, size, "%s://%.*s", rq->is_https ? "https" : "http", WR_STR_ARG(rq->authority));
  return name;
}

static void wait_for_answer(struct call *c, const struct wr_transfer_timeouts *t)
{
  struct wr_loop *l = c->base.transport->loop;
  uint64_t now = wr_loop_now(l);
  uint64_t at = t->total_at_ns ? t->total_at_ns : UINT64_MAX;
  if (t->first_byte_ns > 0 && now + t->first_byte_ns < at) at = now + t->first_byte_ns;
  wr_timer_start_at(&c->timer, at);
}

static struct wr_transfer *start(struct wr_transport *tr, const struct wr_transfer_request *rq)
{
  struct stage *s = stage_of(tr);
  struct call *c = wr_alloc(sizeof(*c));
  c->base.transport = tr;
  c->events = rq->events;
  c->ctx = rq->ctx;
  c->name = name_of(rq);
  c->is_https = rq->is_https;
  c->is_idempotent = rq->is_idempotent;
  wr_region_init(&c->region, REGION_BYTES);
  wr_buf_init(&c->upload, BODY_BYTES);
  wr_buf_init(&c->answer, BODY_BYTES);
  c->method = wr_region_copy(&c->region, rq->method);
  c->target = wr_region_copy(&c->region, rq->target);
  c->authority = wr_region_copy(&c->region, rq->authority);
  wr_headers_init(&c->headers, &c->region, rq->headers->count);
  for (size_t i = 0; i < rq->headers->count; i++) {
    wr_headers_add_copy(&c->headers, rq->headers->items[i].name, rq->headers->items[i].value);
  }
  wr_deferred_init(&c->work, on_work);
  wr_timer_init(&c->timer, tr->loop, on_timer);
  wr_list_push(&s->calls, &c->link);
  wait_for_answer(c, &rq->timeouts);
  if (rq->body_kind == WR_TRANSFER_BODY_STREAM) return &c->base;
  if (rq->body_kind == WR_TRANSFER_BODY_BYTES) wr_buf_append_str(&c->upload, rq->body);
  wr_loop_defer(tr->loop, &c->work);
  return &c->base;
}

static bool write_body(struct wr_transfer *t, struct wr_str data)
{
  wr_buf_append_str(&call_of(t)->upload, data);
  return true;
}

static void write_end(struct wr_transfer *t)
{
  wr_loop_defer(t->transport->loop, &call_of(t)->work);
}

static void go_on(struct wr_transfer *t)
{
  struct call *c = call_of(t);
  if (!c->is_paused) return;
  c->is_paused = false;
  wr_loop_defer(t->transport->loop, &c->work);
}

static void cancel(struct wr_transfer *t)
{
  struct call *c = call_of(t);
  c->is_cancelled = true;
  if (!c->is_busy) free_call(c);
}

static const struct wr_transfer_stats *stats(const struct wr_transfer *t)
{
  return &WR_CONTAINER((struct wr_transfer *)t, struct call, base)->stats;
}

static void rest(struct wr_transport *tr)
{
  (void)tr;
}

static void close_stage(struct wr_transport *tr)
{
  struct stage *s = stage_of(tr);
  while (!wr_list_is_empty(&s->calls)) free_call(WR_CONTAINER(s->calls.next, struct call, link));
  wr_transport_end(tr);
}

static const struct wr_transport_ops ops = {
    .name = "scripted",
    .start = start,
    .write = write_body,
    .write_end = write_end,
    .resume = go_on,
    .cancel = cancel,
    .stats = stats,
    .rest = rest,
    .close = close_stage,
};

// Its life

void wr_rehearsal_open(struct wr_rehearsal *r, struct wr_loop *loop)
{
  struct stage *s = wr_alloc(sizeof(*s));
  *r = (struct wr_rehearsal){.transport = &s->base};
  wr_list_init(&r->parts);
  wr_list_init(&s->calls);
  s->rehearsal = r;
  wr_transport_init(&s->base, &ops, loop);
}

void wr_rehearsal_end(struct wr_rehearsal *r)
{
  struct wr_list *node;
  while ((node = wr_list_pop(&r->parts)) != NULL) {
    struct part *part = WR_CONTAINER(node, struct part, link);
    luaL_unref(r->script->vm.L, LUA_REGISTRYINDEX, part->fn_ref);
    wr_free(part->name);
    wr_free(part);
  }
}

void wr_rehearsal_script(struct wr_rehearsal *r, struct wr_str name, int fn_ref)
{
  struct part *part = wr_alloc(sizeof(*part));
  part->name = wr_strndup(name.ptr, name.len);
  part->fn_ref = fn_ref;
  wr_list_push(&r->parts, &part->link);
}
