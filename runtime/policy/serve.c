#include "policy/serve.h"

#include "arena/slot.h"
#include "base/check.h"
#include "http/uri.h"
#include "policy/bypass.h"
#include "policy/client_deadline.h"
#include "policy/problem.h"
#include "policy/reckon.h"
#include "policy/shedding.h"
#include "policy/told.h"
#include "script/bind_request.h"
#include "script/handler.h"

#include "script/meter.h"
#include <stdatomic.h>
#include <stdio.h>

// Whoever outlives this process counts these as lost.
static void set_active(struct wr_serve *serve, uint64_t active)
{
  struct wr_slot *slot = wr_slot_of(serve->env->arena, serve->env->shard);
  serve->active = active;
  atomic_store_explicit(&slot->in_flight, (uint32_t)active, memory_order_relaxed);
}

// --- answering ----------------------------------------------------------------------------------

static void let_go(struct wr_serving *s)
{
  if (s->generation == NULL) return;
  wr_bind_request_cut(&s->request);
  wr_list_remove(&s->link);
  struct wr_generation *g = s->generation;
  s->generation = NULL;
  wr_generation_unref(g);
}

static void answer_error(struct wr_serving *s, const struct wr_error *error)
{
  s->error = error->kind;
  wr_trail_error(&s->request.trail, error);
  wr_told_add(s);
  let_go(s);
  if (error->kind == WR_ERROR_CANCELLED) {
    wr_exchange_abort(s->request.x);
  } else {
    wr_problem_reply(s->request.x, error, &s->request.told);
  }
}

static void fail(struct wr_serving *s, enum wr_error_kind kind, const char *text)
{
  struct wr_error error;
  wr_error_set(&error, kind, "%s", text);
  answer_error(s, &error);
}

// The client is gone or broke its request: the server knows what, if anything, is still to be said.
static void give_up(struct wr_serving *s, const struct wr_error *error)
{
  s->error = error->kind;
  let_go(s);
  if (error->kind == WR_ERROR_CANCELLED || s->response) {
    wr_exchange_abort(s->request.x);
  } else {
    wr_exchange_end(s->request.x);
  }
}

static bool on_piece(void *ctx, struct wr_response *r, struct wr_str data)
{
  (void)r;
  struct wr_serving *s = ctx;
  return wr_exchange_write(s->request.x, data);
}

static void on_body_over(void *ctx, struct wr_response *r)
{
  struct wr_serving *s = ctx;
  if (r->state == WR_RESPONSE_WHOLE) {
    if (r->trailers.count > 0) wr_exchange_trailers(s->request.x, &r->trailers);
    wr_exchange_end(s->request.x);
    return;
  }
  s->error = r->error.kind;
  wr_trail_error(&s->request.trail, &r->error);
  // A tunnel that was idle, or open for long enough, ends in good order.
  if (s->is_tunnel && r->error.kind == WR_ERROR_TIMEOUT) {
    wr_exchange_end(s->request.x);
  } else {
    wr_exchange_abort(s->request.x);
  }
}

static const struct wr_response_sink sink = {on_piece, on_body_over};

// From here on bytes go both ways in C, whatever becomes of the scripts.
static void open_tunnel(struct wr_serving *s)
{
  struct wr_response *r = s->response;
  let_go(s);
  s->is_tunnel = true;
  set_active(s->serve, s->serve->active - 1);
  s->serve->tunnels++;
  s->request.body_limit = 0;
  wr_meter_add(s->serve->env->meter, WR_METRIC_TUNNELS_TOTAL, 1, "upstream",
               r->upstream ? r->upstream->name : "", NULL);
  wr_exchange_upgrade(s->request.x, &r->headers, r->tunnel);
  if (r->transfer) wr_request_start_upload(&s->request, r);
  wr_response_attach(r, &sink, s);
}

// A script may hand a response to another request than it belongs to.
static bool may_tunnel(const struct wr_serving *s)
{
  return s->response->tunnel_key == s->request.tunnel_key &&
         s->request.body_state == WR_REQUEST_UNREAD;
}

static void add_degraded(struct wr_response *r)
{
  if (r->rung[0] == '\0') return;
  wr_headers_set_copy(&r->headers, WR_STR("X-Degraded"), wr_str_of(r->rung));
}

// At the end of the turn: a small response has arrived whole by then and leaves in one piece.
static void on_send(struct wr_deferred *d)
{
  struct wr_serving *s = WR_CONTAINER(d, struct wr_serving, sender);
  struct wr_response *r = s->response;
  struct wr_exchange *x = s->request.x;
  if (r->sink != NULL || (r->tunnel.len > 0 && !may_tunnel(s))) {
    fail(s, WR_ERROR_SCRIPT, "the response is for another request than this");
    return;
  }
  if (r->state == WR_RESPONSE_BROKEN) {
    answer_error(s, &r->error);
    return;
  }
  add_degraded(r);
  wr_told_add(s);
  wr_told_put(s, &r->headers);
  if (r->tunnel.len > 0) {
    open_tunnel(s);
    return;
  }
  let_go(s);
  // A body-less answer to HEAD keeps the length of the body that GET would have had.
  bool is_head = wr_str_eq(s->request.info->head->method, WR_STR("HEAD"));
  if (r->state == WR_RESPONSE_WHOLE && !is_head && r->trailers.count == 0) {
    wr_exchange_reply(x, r->status, &r->headers, wr_buf_str(&r->body));
    return;
  }
  wr_exchange_respond(x, r->status, &r->headers, r->has_length, r->length);
  wr_response_attach(r, &sink, s);
}

static void send_response(struct wr_serving *s, struct wr_response *r)
{
  wr_response_take(r);
  s->response = r;
  wr_loop_defer(s->serve->env->loop, &s->sender);
}

static void send_text(struct wr_serving *s, struct wr_str text)
{
  struct wr_headers headers;
  wr_headers_init(&headers, s->request.info->region, 16);
  wr_headers_add(&headers, WR_STR("Content-Type"), WR_STR("text/plain; charset=utf-8"));
  wr_told_add(s);
  wr_told_put(s, &headers);
  wr_exchange_reply(s->request.x, 200, &headers, text);
  let_go(s);
}

// --- the handler --------------------------------------------------------------------------------

static void on_handler_end(void *ctx, const struct wr_handler_result *result);

static void run(struct wr_serving *s, int fn_ref, const struct wr_error *error,
                uint64_t deadline_ns)
{
  s->handler = (struct wr_handler){.fn_ref = fn_ref,
                                   .request = &s->request,
                                   .error = error,
                                   .deadline_ns = deadline_ns,
                                   .on_end = on_handler_end,
                                   .ctx = s};
  struct wr_error problem;
  s->task = wr_handler_new(s->generation->script, &s->handler, &problem);
  if (s->task) {
    wr_task_start(s->task);
  } else {
    wr_bypass_leave(s, WR_HANDLER_CANCELLED);
    answer_error(s, &problem);
  }
}

static void on_raised(struct wr_serving *s, const struct wr_handler_result *result)
{
  wr_handler_log(s->generation->script, result->raised, s->request.trail.route, &s->request);
  bool has_own = s->route->on_error_ref != WR_ROUTE_NO_ON_ERROR && !s->is_failing;
  if (has_own && s->request.gone.kind == WR_ERROR_NONE) {
    s->is_failing = true;
    s->request.trail.lua_cycles = 0;
    s->request.trail.grown = 0;
    run(s, s->route->on_error_ref, result->error, s->route->deadline_ns);
  } else {
    answer_error(s, result->error);
  }
}

static void on_wrong(struct wr_serving *s, const struct wr_handler_result *result)
{
  struct wr_script_error wrong = {0};
  wr_call_error_set(&wrong, "", 0, "the handler of route '%s' (%s): %s", s->route->pattern,
                    s->route->place, result->error->message);
  wr_handler_log(s->generation->script, &wrong, s->request.trail.route, &s->request);
  answer_error(s, result->error);
}

static void on_cancelled(struct wr_serving *s)
{
  if (s->request.gone.kind != WR_ERROR_NONE) {
    give_up(s, &s->request.gone);
    return;
  }
  fail(s, WR_ERROR_RETIRED,
       "the scripts of this request were replaced and its time to finish is over");
}

static void on_handler_end(void *ctx, const struct wr_handler_result *result)
{
  struct wr_serving *s = ctx;
  s->task = NULL;
  wr_bypass_leave(s, result->end);
  switch (result->end) {
  case WR_HANDLER_RESPONSE: send_response(s, result->response); break;
  case WR_HANDLER_TEXT: send_text(s, result->text); break;
  case WR_HANDLER_ERROR: answer_error(s, result->error); break;
  case WR_HANDLER_RAISED: on_raised(s, result); break;
  case WR_HANDLER_WRONG: on_wrong(s, result); break;
  case WR_HANDLER_CANCELLED: on_cancelled(s); break;
  }
}

// --- a request comes in -------------------------------------------------------------------------

static void copy_params(struct wr_serving *s, const struct wr_route_found *found)
{
  struct wr_request *q = &s->request;
  for (size_t i = 0; i < found->count && q->param_count < WR_REQUEST_PARAMS_MAX; i++) {
    struct wr_str value = wr_uri_decode(found->params[i].value, q->info->region);
    if (value.ptr == NULL) value = found->params[i].value;
    q->params[q->param_count++] = (struct wr_request_param){found->params[i].name, value};
  }
}

static void ask_handler(struct wr_serving *s)
{
  const struct wr_headers *headers = &s->request.info->head->headers;
  uint64_t deadline_ns = wr_client_deadline(headers, s->route->deadline_ns);
  struct wr_error refusal;
  if (wr_bypass_enter(s, &refusal)) {
    run(s, s->route->handler_ref, NULL, deadline_ns);
  } else {
    s->is_failing = true;
    run(s, s->route->on_error_ref, &refusal, deadline_ns);
  }
}

static void run_handler(struct wr_serving *s, const struct wr_route_found *found)
{
  s->route = found->target;
  // The word outlives the generation: the access line is written after it may be gone.
  struct wr_route_declared *route = found->target;
  if (route->word == NULL) route->word = wr_meter_word(s->serve->env->meter, found->pattern);
  s->request.trail.route = route->word;
  copy_params(s, found);
  wr_request_prioritise(&s->request, (enum wr_priority)s->route->priority,
                        s->generation->script->declared.priority_header);
  struct wr_error refusal;
  if (wr_shedding_refuses(s, &refusal)) {
    answer_error(s, &refusal);
    return;
  }
  s->request.body_limit = s->route->body_max;
  const struct wr_head *head = s->request.info->head;
  if (s->request.body_limit > 0 && head->content_length > s->request.body_limit) {
    struct wr_error error;
    wr_error_set(
        &error, WR_ERROR_TOO_LARGE, "the request body is %llu bytes; this route takes %llu",
        (unsigned long long)head->content_length, (unsigned long long)s->request.body_limit);
    answer_error(s, &error);
    return;
  }
  ask_handler(s);
}

// Routes are for hosts, whatever the port: "a.test:8080" is "a.test", "[::1]:80" is "[::1]".
static struct wr_str without_port(struct wr_str host)
{
  for (size_t i = host.len; i > 0; i--) {
    char c = host.ptr[i - 1];
    if (c == ':') return (struct wr_str){host.ptr, i - 1};
    if (c < '0' || c > '9') break;
  }
  return host;
}

static void dispatch(struct wr_serving *s)
{
  const struct wr_exchange_info *info = s->request.info;
  struct wr_route_found found;
  struct wr_str host = without_port(info->head->host);
  switch (wr_route_find(s->generation->routes, info->head->method, host, info->path, &found)) {
  case WR_ROUTE_FOUND: run_handler(s, &found); return;
  case WR_ROUTE_NO_METHOD:
    wr_problem_reply_status(s->request.x, 405, "no route of this path takes this method",
                            WR_STR("Allow"), wr_str_of(found.allow));
    break;
  case WR_ROUTE_NO_PATH:
    wr_problem_reply_status(s->request.x, 404, "no route has this path", (struct wr_str){NULL, 0},
                            (struct wr_str){NULL, 0});
    break;
  }
  let_go(s);
}

static void on_request(void *ctx, struct wr_exchange *x, void **slot)
{
  struct wr_serve *serve = ctx;
  const struct wr_exchange_info *info = wr_exchange_info(x);
  struct wr_serving *s = wr_region_take(info->region, sizeof(*s));
  if (s == NULL || serve->live == NULL) {
    struct wr_error error;
    wr_error_set(&error, WR_ERROR_SHED, "no scripts are loaded");
    wr_problem_reply(x, &error, NULL);
    return;
  }
  *slot = s;
  wr_request_init(&s->request, serve->env, x, serve->body_max);
  s->serve = serve;
  bool is_canary = wr_canary_picks(&serve->canary, serve->live, info);
  s->generation = is_canary ? serve->canary.generation : serve->live;
  s->generation_number = s->generation->number;
  s->tally = s->generation->tally;
  s->task = NULL;
  s->route = NULL;
  s->response = NULL;
  s->is_tunnel = s->is_failing = s->is_bypassed = false;
  s->admission = 0;
  s->error = WR_ERROR_NONE;
  wr_generation_ref(s->generation);
  wr_list_init(&s->link);
  wr_list_push(&s->generation->requests, &s->link);
  wr_deferred_init(&s->sender, on_send);
  wr_request_trust(&s->request, &s->generation->script->declared.trust);
  set_active(serve, serve->active + 1);
  dispatch(s);
}

static bool on_body(void *slot, struct wr_exchange *x, struct wr_str data)
{
  (void)x;
  return wr_request_on_body(&((struct wr_serving *)slot)->request, data);
}

static void on_body_end(void *slot, struct wr_exchange *x)
{
  (void)x;
  wr_request_on_body_end(&((struct wr_serving *)slot)->request);
}

static void on_writable(void *slot, struct wr_exchange *x)
{
  (void)x;
  struct wr_serving *s = slot;
  if (s->response) wr_response_resume(s->response);
}

// The client left, or broke its own request: nobody needs the work any more.
static void on_gone(void *slot, struct wr_exchange *x, const struct wr_error *error)
{
  struct wr_serving *s = slot;
  wr_request_on_gone(&s->request, error);
  if (s->task) {
    wr_task_cancel(s->task);
    return;
  }
  if (s->response) {
    wr_loop_undefer(&s->sender);
    wr_response_cancel(s->response);
    give_up(s, error);
  } else if (!wr_exchange_is_responded(x)) {
    give_up(s, error);
  }
}

// The experiment that the request met learns how it ended for its client.
static void tell_chaos(struct wr_serving *s, const struct wr_exchange_stats *stats)
{
  const struct wr_trail *trail = &s->request.trail;
  struct wr_script_env *env = s->serve->env;
  // A client that left says nothing, unless it was made to.
  bool has_left = s->error == WR_ERROR_CANCELLED && !trail->is_hung_up;
  if (trail->chaos.generation == 0 || has_left) return;
  bool is_failure = stats->status >= 500 || s->error != WR_ERROR_NONE;
  wr_guard_chaos_note(env->guard, trail->chaos, is_failure, wr_loop_now(env->loop));
}

static void on_end(void *slot, struct wr_exchange *x)
{
  struct wr_serving *s = slot;
  if (s == NULL) return;
  struct wr_serve *serve = s->serve;
  wr_loop_undefer(&s->sender);
  tell_chaos(s, wr_exchange_stats(x));
  wr_reckon_request(s, wr_exchange_stats(x));
  if (serve->on_access) serve->on_access(serve->ctx, s, wr_exchange_stats(x));
  if (s->is_tunnel) {
    serve->tunnels--;
  } else {
    set_active(serve, serve->active - 1);
  }
  let_go(s);
  wr_request_fini(&s->request);
  if (s->response) wr_response_sent(s->response);
}

const struct wr_http_hooks wr_serve_hooks = {on_request,  on_body, on_body_end,
                                             on_writable, on_gone, on_end};

// --- generations --------------------------------------------------------------------------------

void wr_serve_swap(struct wr_serve *serve, struct wr_generation *next)
{
  serve->live = next;
}

void wr_serve_feed(struct wr_serve *serve)
{
  double pressure = 0;
  if (serve->live) {
    const struct wr_overload_config *config = &serve->live->script->declared.overload;
    pressure = wr_overload_pressure(config, &serve->env->signals);
  }
  wr_overload_feed(&serve->overload, pressure, wr_loop_now(serve->env->loop));
}

void wr_serve_cut(struct wr_generation *g)
{
  WR_LIST_EACH(&g->requests, node) {
    struct wr_serving *s = WR_CONTAINER(node, struct wr_serving, link);
    if (s->task) wr_task_cancel(s->task);
  }
  wr_script_cancel_tasks(g->script);
}

const char *wr_serving_why(const struct wr_serving *s, const struct wr_exchange_stats *stats)
{
  const struct wr_trail *trail = &s->request.trail;
  if (s->error == WR_ERROR_REFUSED && trail->why) return trail->why;
  if (s->error != WR_ERROR_NONE) return wr_error_why(s->error);
  if (!stats->is_complete) return wr_error_why(WR_ERROR_CANCELLED);
  if (s->route == NULL) return "no_route";
  if (s->is_bypassed) return "ok_bypass";
  if (trail->rung > 1) return "ok_fallback";
  if (trail->is_hedge) return "ok_hedge";
  return trail->retries > 0 ? "ok_retry" : "ok";
}
