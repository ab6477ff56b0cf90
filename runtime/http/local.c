#include "http/local.h"

#include "base/alloc.h"
#include "http/judge.h"
#include "http/proxy_protocol.h"

enum { REGION_BYTES = 512 * 1024, HEAD_BYTES = 64 * 1024 };

struct wr_local {
  struct wr_exchange x;
  struct wr_local_request request; // slices live in the region and in `in`
  struct wr_region region;
  struct wr_buf in;   // the request's body
  struct wr_buf head; // the answer's
  struct wr_buf out;  // and its body
  struct wr_proxy_protocol ends;
  struct wr_deferred progress;
  bool is_begun;
  bool is_sent;
  bool has_left;              // the client
  enum wr_error_kind failure; // of the exchange
  const char *failure_text;
};

static struct wr_local *local_of(const struct wr_exchange *x)
{
  return WR_CONTAINER((struct wr_exchange *)x, struct wr_local, x);
}

// What exchange.c asks for

static void poke(struct wr_exchange *x)
{
  wr_loop_defer(x->server->loop, &local_of(x)->progress);
}

static bool is_open(const struct wr_exchange *x)
{
  return !local_of(x)->has_left && local_of(x)->failure == WR_ERROR_NONE;
}

static bool take(struct wr_exchange *x, struct wr_str *piece)
{
  *piece = wr_buf_str(&local_of(x)->in);
  x->is_body_done = true;
  return true;
}

static bool is_here(const struct wr_exchange *x)
{
  (void)x;
  return true;
}

static void ignore(struct wr_exchange *x)
{
  (void)x;
}

static void fail(struct wr_exchange *x, enum wr_error_kind kind, const char *text)
{
  struct wr_local *l = local_of(x);
  if (l->failure != WR_ERROR_NONE) return;
  l->failure = kind;
  l->failure_text = text;
  poke(x);
}

static void reset(struct wr_exchange *x)
{
  fail(x, WR_ERROR_CANCELLED, "the connection was reset on purpose");
}

static void send_head(struct wr_exchange *x, struct wr_response *response)
{
  if (!wr_response_write(response, &local_of(x)->head)) {
    fail(x, WR_ERROR_TOO_LARGE, "the response head is too large");
  }
}

static void send_body(struct wr_exchange *x, struct wr_str data)
{
  if (!wr_buf_append_str(&local_of(x)->out, data)) {
    fail(x, WR_ERROR_TOO_LARGE, "the response is larger than a request from inside takes");
  }
}

static void send_end(struct wr_exchange *x)
{
  local_of(x)->is_sent = true;
}

static size_t unsent(const struct wr_exchange *x)
{
  (void)x;
  return 0;
}

static const struct wr_proxy_protocol *ends(const struct wr_exchange *x)
{
  return &local_of(x)->ends;
}

static const struct wr_exchange_ops ops = {
    .take = take,
    .is_here = is_here,
    .stop_reading = ignore,
    .send_continue = ignore,
    .send_head = send_head,
    .send = send_body,
    .send_end = send_end,
    .unsent = unsent,
    .is_open = is_open,
    .fail = fail,
    .reset = reset,
    .ends = ends,
    .poke = poke,
};

// Its life

static void begin(struct wr_local *l)
{
  struct wr_exchange *x = &l->x;
  struct wr_server *s = x->server;
  struct wr_parser_error error = {0};
  size_t used = 0;
  struct wr_str head = l->request.head;
  enum wr_parser_status status = wr_parser_request(head.ptr, head.len, &s->options.limits,
                                                   &l->region, &x->head, &used, &error);
  s->stats.requests++;
  x->ops = &ops;
  x->info = (struct wr_exchange_info){
      .region = &l->region,
      .client = l->request.client,
      .scheme = WR_STR("http"),
      .version = WR_STR("1.1"),
      .start_ns = wr_loop_now(s->loop),
  };
  x->is_body_done = l->in.len == 0;
  if (status == WR_PARSER_DONE && used == head.len) {
    wr_judge_begin(x);
    return;
  }
  s->stats.bad_requests++;
  x->head = (struct wr_head){.minor = 1, .headers = {.region = &l->region}};
  wr_judge_refuse(x, error.status ? error.status : 400,
                  error.message ? error.message : "the head is not one head");
}

static void tell(struct wr_local *l)
{
  struct wr_head head = {0};
  struct wr_parser_error error;
  size_t used;
  struct wr_str bytes = wr_buf_str(&l->head);
  bool has_head = bytes.len > 0 && wr_parser_response(bytes.ptr, bytes.len, l->x.head.method,
                                                      &wr_parser_limits_default, &l->region, &head,
                                                      &used, &error) == WR_PARSER_DONE;
  struct wr_local_answer answer = {
      .status = has_head ? head.status : 0,
      .headers = &head.headers,
      .body = wr_buf_str(&l->out),
      .is_complete = has_head && l->is_sent && l->failure == WR_ERROR_NONE,
  };
  l->request.on_end(l->request.ctx, &answer);
}

static void free_local(struct wr_local *l)
{
  wr_loop_undefer(&l->progress);
  wr_buf_fini(&l->in);
  wr_buf_fini(&l->head);
  wr_buf_fini(&l->out);
  wr_region_fini(&l->region);
  wr_free(l);
}

static void finish(struct wr_local *l)
{
  struct wr_exchange *x = &l->x;
  x->stats.is_complete = l->is_sent && x->is_ended;
  wr_exchange_finish(x);
  if (!l->has_left) tell(l);
  free_local(l);
}

static void on_progress(struct wr_deferred *d)
{
  struct wr_local *l = WR_CONTAINER(d, struct wr_local, progress);
  struct wr_exchange *x = &l->x;
  if (!l->is_begun && l->has_left) {
    free_local(l);
    return;
  }
  if (!l->is_begun) {
    l->is_begun = true;
    begin(l);
  }
  bool is_lost = !is_open(x);
  if (!is_lost) {
    wr_exchange_deliver(x);
    wr_exchange_go_on(x);
  }
  bool is_done = l->is_sent && x->is_ended;
  if (!is_done && is_lost) {
    wr_exchange_tell_gone(x, l->failure ? l->failure : WR_ERROR_CANCELLED,
                          l->failure_text ? l->failure_text : "the client left");
  }
  if (is_done || x->is_aborted || (is_lost && x->is_ended)) finish(l);
}

struct wr_local *wr_local_start(struct wr_server *s, const struct wr_local_request *request)
{
  struct wr_local *l = wr_alloc(sizeof(*l));
  l->x.server = s;
  l->request = *request;
  wr_region_init(&l->region, REGION_BYTES);
  wr_buf_init(&l->in, WR_LOCAL_BODY_MAX);
  wr_buf_init(&l->head, HEAD_BYTES);
  wr_buf_init(&l->out, WR_LOCAL_BODY_MAX);
  wr_deferred_init(&l->progress, on_progress);
  l->request.head = wr_region_copy(&l->region, request->head);
  l->request.client = wr_region_copy(&l->region, request->client);
  bool fits = wr_buf_append_str(&l->in, request->body);
  if (!fits || l->request.head.ptr == NULL || l->request.client.ptr == NULL) {
    free_local(l);
    return NULL;
  }
  wr_loop_defer(s->loop, &l->progress);
  return l;
}

void wr_local_leave(struct wr_local *l)
{
  l->has_left = true;
  wr_loop_defer(l->x.server->loop, &l->progress);
}
