#include "script/response.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/decimal.h"
#include "script/meter.h"
#include "script/request.h"

enum {
  SPARES = 512,           // responses kept for the next ones: what the collector finds in one go
  KEEP_BYTES = 16 * 1024, // a larger body or head gives its memory back
};

static struct wr_response *take_spare(struct wr_script_env *env)
{
  struct wr_list *node = wr_list_pop(&env->spare_responses);
  if (node == NULL) return wr_alloc(sizeof(struct wr_response));
  env->spare_response_count--;
  return WR_CONTAINER(node, struct wr_response, link);
}

struct wr_response *wr_response_new(struct wr_script_env *env, struct wr_task *t, size_t body_max)
{
  struct wr_response *r = take_spare(env);
  *r = (struct wr_response){
      .refs = 1, .env = env, .region = r->region, .body = r->body, .chain_link = WR_CHAIN_NONE};
  wr_list_init(&r->link);
  if (t) wr_list_push(&t->responses, &r->link);
  r->region.max = WR_RESPONSE_REGION_MAX;
  r->body.max = body_max;
  wr_headers_init(&r->headers, &r->region, WR_RESPONSE_HEADERS_MAX);
  return r;
}

static void free_memory(struct wr_response *r)
{
  wr_buf_fini(&r->body);
  wr_region_fini(&r->region);
  wr_free(r);
}

static void recycle(struct wr_response *r)
{
  struct wr_script_env *env = r->env;
  if (env->spare_response_count >= SPARES) {
    free_memory(r);
    return;
  }
  if (r->region.total > KEEP_BYTES) wr_region_fini(&r->region);
  if (r->body.cap > KEEP_BYTES) wr_buf_fini(&r->body);
  wr_region_clear(&r->region);
  wr_buf_clear(&r->body);
  wr_list_push(env->spare_responses.next, &r->link);
  env->spare_response_count++;
}

void wr_response_free_spare(struct wr_script_env *env)
{
  struct wr_list *node;
  while ((node = wr_list_pop(&env->spare_responses)) != NULL) {
    free_memory(WR_CONTAINER(node, struct wr_response, link));
  }
  env->spare_response_count = 0;
}

struct wr_response *wr_response_ref(struct wr_response *r)
{
  r->refs++;
  return r;
}

// --- tickets ------------------------------------------------------------------------------------

static void settle_tickets(struct wr_response *r)
{
  uint64_t now = wr_loop_now(r->env->loop);
  for (size_t i = r->ticket_count; i > 0; i--) {
    struct wr_response_ticket *ticket = &r->tickets[i - 1];
    enum wr_outcome outcome = ticket->outcome;
    // A status that is a failure stays one, also when nobody reads the rest.
    if (r->state == WR_RESPONSE_BROKEN && outcome != WR_OUTCOME_FAILURE) {
      bool local = wr_error_is_local(r->error.kind);
      outcome = local ? WR_OUTCOME_CANCELLED : WR_OUTCOME_FAILURE;
    }
    wr_guard_leave(r->env->guard, ticket->id, outcome, now);
  }
  r->ticket_count = 0;
}

bool wr_response_hang_ticket(struct wr_response *r, uint64_t id, enum wr_outcome outcome)
{
  // A tunnel may be open for a day: its admission was a success when it opened.
  if (r->tunnel.len > 0) return false;
  if (r->state != WR_RESPONSE_FLOWING || r->ticket_count == WR_RESPONSE_TICKETS_MAX) return false;
  r->tickets[r->ticket_count++] = (struct wr_response_ticket){id, outcome};
  return true;
}

// --- the end ------------------------------------------------------------------------------------

static void detach_upload(struct wr_response *r)
{
  if (r->upload) wr_request_stop_upload(r->upload);
  r->upload = NULL;
}

const char *wr_response_upstream(const struct wr_response *r)
{
  struct wr_upstream *u = r->upstream;
  if (u == NULL) return "";
  if (u->word == NULL) u->word = wr_meter_word(r->env->meter, wr_str_of(u->name));
  return u->word;
}

// `error` is constant text.
static uint32_t duration_of(const struct wr_response *r, const char *error)
{
  struct wr_meter *m = r->env->meter;
  const char *name = wr_response_upstream(r);
  int status = r->status;
  uint32_t *series =
      wr_meter_memo(m, WR_METRIC_HTTP_CLIENT_DURATION, name, error, (uint64_t)status);
  if (*series != WR_SERIES_NONE) return *series;
  char digits[WR_DECIMAL_SIZE] = "";
  if (status > 0) wr_decimal_write(digits, (uint64_t)status);
  return *series = wr_meter_series(m, WR_METRIC_HTTP_CLIENT_DURATION, "upstream", name,
                                   "http_response_status_code", digits, "error_type", error, NULL);
}

static void observe_body(struct wr_meter *m, enum wr_metric metric, const char *upstream,
                         uint64_t bytes)
{
  if (bytes == 0) return;
  uint32_t series = wr_meter_one(m, metric, "upstream", upstream);
  wr_series_observe(m->arena, m->shard, series, (double)bytes);
}

// While the transfer is still there. Of an attempt alone: others are not observed.
static void note_bytes(struct wr_response *r)
{
  if (!r->is_upstream || r->transfer == NULL) return;
  const struct wr_transfer_stats *stats = wr_transfer_stats(r->transfer);
  r->sent_bytes = stats->sent_bytes;
  r->received_bytes = stats->received_bytes;
}

// One observation for each attempt, whatever became of it.
static void observe(struct wr_response *r)
{
  if (!r->is_upstream || r->started_ns == 0) return;
  struct wr_meter *m = r->env->meter;
  const char *error = r->state == WR_RESPONSE_BROKEN ? wr_error_name(r->error.kind) : "";
  double seconds = (double)(wr_loop_now(r->env->loop) - r->started_ns) / 1e9;
  wr_series_observe(m->arena, m->shard, duration_of(r, error), seconds);
  const char *upstream = wr_response_upstream(r);
  observe_body(m, WR_METRIC_HTTP_CLIENT_REQUEST_BODY, upstream, r->sent_bytes);
  observe_body(m, WR_METRIC_HTTP_CLIENT_RESPONSE_BODY, upstream, r->received_bytes);
}

static void end_tee(struct wr_response *r)
{
  const struct wr_response_tee *tee = r->tee;
  if (tee == NULL) return;
  r->tee = NULL;
  tee->on_end(r->tee_ctx, r);
}

static void report(struct wr_response *r)
{
  struct wr_upstream_report report = {
      .now_ns = wr_loop_now(r->env->loop),
      .started_ns = r->started_ns,
      .head_ns = r->head_ns,
      .kind = r->state == WR_RESPONSE_BROKEN && !r->tunnel.len ? r->error.kind : WR_ERROR_NONE,
      .status = r->status,
  };
  wr_upstream_report(r->upstream, &r->choice, &report);
}

// The attempt is over, well or not: the endpoint's load goes down, held permits go back.
static void close_books(struct wr_response *r)
{
  r->transfer = NULL;
  if (r->tunnel.len == 0) observe(r);
  detach_upload(r);
  if (r->choice.endpoint) report(r);
  end_tee(r); // before the tickets: who waits for one finds what was stored
  settle_tickets(r);
}

void wr_response_cancel(struct wr_response *r)
{
  if (r->state == WR_RESPONSE_WHOLE || r->state == WR_RESPONSE_BROKEN) return;
  note_bytes(r);
  if (r->transfer) wr_transfer_cancel(r->transfer);
  r->state = WR_RESPONSE_BROKEN;
  wr_error_set(&r->error, WR_ERROR_CANCELLED, "the call was cancelled");
  close_books(r);
}

static void free_response(struct wr_response *r)
{
  wr_response_cancel(r);
  WR_CHECK(r->ticket_count == 0);
  if (r->upstream) wr_upstream_unref(r->upstream);
  wr_list_remove(&r->link);
  recycle(r);
}

void wr_response_unref(struct wr_response *r)
{
  WR_CHECK(r->refs > 0);
  if (--r->refs == 0) free_response(r);
}

bool wr_response_cut(struct wr_response *r)
{
  if (r->refs != 2 || r->handle == NULL || r->wants_whole) return false;
  *r->handle = NULL;
  r->handle = NULL;
  r->refs--;
  return true;
}

void wr_response_sent(struct wr_response *r)
{
  wr_response_cut(r);
  wr_response_unref(r);
}

void wr_response_take(struct wr_response *r)
{
  // Already taken: the caller gets a reference of its own.
  if (wr_list_is_empty(&r->link)) r->refs++;
  wr_list_remove(&r->link);
}

void wr_response_drop_all(struct wr_task *t)
{
  struct wr_list *node;
  while ((node = wr_list_pop(&t->responses)) != NULL) {
    struct wr_response *r = WR_CONTAINER(node, struct wr_response, link);
    wr_response_cancel(r);
    wr_response_unref(r);
  }
}

// --- the body -----------------------------------------------------------------------------------

void wr_response_attach(struct wr_response *r, const struct wr_response_sink *sink, void *ctx)
{
  WR_CHECK(r->sink == NULL && r->state != WR_RESPONSE_WAITING);
  r->sink = sink;
  r->sink_ctx = ctx;
  bool more = true;
  if (r->body.len > 0) {
    more = sink->on_data(ctx, r, wr_buf_str(&r->body));
    wr_buf_clear(&r->body);
  }
  if (r->state != WR_RESPONSE_FLOWING) {
    sink->on_end(ctx, r);
  } else if (more || r->tee) {
    wr_response_resume(r);
  }
}

void wr_response_read_along(struct wr_response *r, const struct wr_response_tee *tee, void *ctx)
{
  WR_CHECK(r->tee == NULL && r->sink == NULL && r->state != WR_RESPONSE_WAITING);
  r->tee = tee;
  r->tee_ctx = ctx;
  if (r->body.len > 0) tee->on_data(ctx, wr_buf_str(&r->body));
  if (r->state != WR_RESPONSE_FLOWING) end_tee(r);
}

void wr_response_resume(struct wr_response *r)
{
  if (!r->is_paused || r->transfer == NULL) return;
  r->is_paused = false;
  wr_transfer_resume(r->transfer);
}

// Wakes the script that waits for this response, if one does.
static void wake(struct wr_response *r)
{
  if (r->on_ready == NULL) return;
  void (*on_ready)(struct wr_response *) = r->on_ready;
  r->on_ready = NULL;
  on_ready(r);
}

void wr_response_on_head(struct wr_response *r)
{
  r->state = WR_RESPONSE_FLOWING;
  r->head_ns = wr_loop_now(r->env->loop);
  if (r->tunnel.len > 0) observe(r); // what comes is no part of the call
  if (!r->wants_whole) wake(r);
}

static void end(struct wr_response *r)
{
  // Whoever is told below may drop the last reference.
  wr_response_ref(r);
  close_books(r);
  if (r->sink) {
    r->sink->on_end(r->sink_ctx, r);
  } else {
    wake(r);
  }
  wr_response_unref(r);
}

void wr_response_fail(struct wr_response *r, const struct wr_error *error)
{
  if (r->state == WR_RESPONSE_WHOLE || r->state == WR_RESPONSE_BROKEN) return;
  note_bytes(r);
  if (r->transfer) wr_transfer_cancel(r->transfer);
  r->state = WR_RESPONSE_BROKEN;
  r->error = *error;
  end(r);
}

// Without a sink one piece is kept and the sender held back; a script that wants the whole body
// lets it come up to the body's maximum.
bool wr_response_on_data(struct wr_response *r, struct wr_str data)
{
  bool more = false;
  bool is_wanted = r->tee && r->tee->on_data(r->tee_ctx, data);
  if (r->sink) {
    more = r->sink->on_data(r->sink_ctx, r, data) || is_wanted;
  } else if (!wr_buf_append_str(&r->body, data)) {
    struct wr_error error;
    wr_error_set(&error, WR_ERROR_TOO_LARGE, "the response body is larger than %zu bytes",
                 r->body.max);
    wr_response_fail(r, &error);
    return false;
  } else {
    more = r->wants_whole;
  }
  r->is_paused = !more;
  return more;
}

void wr_response_on_end(struct wr_response *r, const struct wr_error *error)
{
  note_bytes(r);
  r->state = error->kind == WR_ERROR_NONE ? WR_RESPONSE_WHOLE : WR_RESPONSE_BROKEN;
  r->error = *error;
  end(r);
}
