#include "observe/otlp_sender.h"

#include "arena/slot.h"
#include "base/alloc.h"
#include "base/check.h"
#include "observe/otlp_answer.h"
#include "resilience/retry_after.h"

#include <stdatomic.h>

enum { HEAD_BYTES = 32 * 1024, ANSWER_BYTES = 4096 };

static const struct wr_backoff_config pauses = {
    .base_ns = WR_SECOND, .cap_ns = 30 * WR_SECOND, .factor = 2, .jitter = WR_BACKOFF_EQUAL};

static void send_next(struct wr_otlp_lane *lane);

// --- what becomes of a payload ------------------------------------------------------------------

static void count(struct wr_otlp_sender *s, enum wr_metric metric, enum wr_otlp_signal signal,
                  uint32_t records, const char *reason)
{
  const char *name = wr_otlp_settings_signal(signal);
  wr_meter_add(s->env->meter, metric, records, "signal", name, reason ? "reason" : NULL, reason,
               NULL);
}

void wr_otlp_sender_drop(struct wr_otlp_sender *s, enum wr_otlp_signal signal, uint32_t records,
                         const char *reason)
{
  count(s, WR_METRIC_TELEMETRY_DROPPED, signal, records, reason);
}

// Whoever outlives this process counts them as lost.
static void publish(const struct wr_otlp_lane *lane)
{
  const struct wr_script_env *env = lane->sender->env;
  struct wr_slot *slot = wr_slot_of(env->arena, env->shard);
  atomic_store_explicit(&slot->unsent[lane->signal], lane->records + lane->open,
                        memory_order_relaxed);
}

void wr_otlp_sender_note(struct wr_otlp_sender *s, enum wr_otlp_signal signal, uint32_t open)
{
  s->lanes[signal].open = open;
  publish(&s->lanes[signal]);
}

static struct wr_otlp_payload *first_of(const struct wr_otlp_lane *lane)
{
  return WR_CONTAINER(lane->queue.next, struct wr_otlp_payload, link);
}

static void forget(struct wr_otlp_lane *lane, struct wr_otlp_payload *p)
{
  wr_list_remove(&p->link);
  lane->bytes -= p->len;
  lane->records -= p->records;
  lane->backoff = (struct wr_backoff){0};
  publish(lane);
  wr_free(p);
}

static void lose(struct wr_otlp_lane *lane, struct wr_otlp_payload *p, const char *reason)
{
  wr_otlp_sender_drop(lane->sender, lane->signal, p->records, reason);
  forget(lane, p);
}

// Once when it begins to fail, and once when it works again.
static void tell(struct wr_otlp_lane *lane, const struct wr_error *error)
{
  struct wr_otlp_sender *s = lane->sender;
  bool is_failing = error != NULL;
  if (lane->is_failing == is_failing) return;
  lane->is_failing = is_failing;
  struct wr_json *j = wr_log_begin(s->env->log, is_failing ? WR_LOG_WARN : WR_LOG_INFO,
                                   is_failing ? "telemetry.failing" : "telemetry.back");
  if (j == NULL) return;
  wr_json_field_cstr(j, "signal", wr_otlp_settings_signal(lane->signal));
  wr_json_field_str(j, "collector", s->settings->targets[lane->signal].uri.authority);
  if (error) wr_json_field_cstr(j, "message", error->message);
  wr_log_end(s->env->log);
}

// --- an attempt's end ---------------------------------------------------------------------------

// What OTLP says may be sent again.
static bool is_passing(int status)
{
  return status == 0 || status == 429 || status == 502 || status == 503 || status == 504;
}

static void wait_for(struct wr_otlp_lane *lane)
{
  struct wr_otlp_sender *s = lane->sender;
  uint64_t ns = wr_backoff_next(&pauses, &lane->backoff, s->env->rng);
  if (lane->after_ns > ns) ns = lane->after_ns;
  wr_timer_start(&lane->timer, ns < WR_OTLP_PAUSE_MAX ? ns : WR_OTLP_PAUSE_MAX);
}

static void on_failure(struct wr_otlp_lane *lane, const struct wr_error *error)
{
  bool is_last = lane->backoff.attempt + 1 >= WR_OTLP_ATTEMPTS_MAX || lane->sender->is_leaving;
  tell(lane, error);
  if (!is_passing(lane->status)) {
    lose(lane, first_of(lane), "rejected");
  } else if (is_last) {
    lose(lane, first_of(lane), lane->sender->is_leaving ? "stopped" : "unreachable");
  } else {
    wait_for(lane);
    return;
  }
  send_next(lane);
}

static void on_taken(struct wr_otlp_lane *lane, struct wr_otlp_payload *p)
{
  bool is_json = lane->sender->settings->targets[lane->signal].is_json;
  uint64_t rejected = wr_otlp_answer_rejected(wr_buf_str(&lane->answer), is_json);
  uint32_t lost = rejected < p->records ? (uint32_t)rejected : p->records;
  count(lane->sender, WR_METRIC_TELEMETRY_SENT, lane->signal, p->records - lost, NULL);
  if (lost > 0) wr_otlp_sender_drop(lane->sender, lane->signal, lost, "rejected");
  forget(lane, p);
  tell(lane, NULL);
  send_next(lane);
}

static void on_end(void *ctx, struct wr_transfer *t, const struct wr_error *error)
{
  (void)t;
  struct wr_otlp_lane *lane = ctx;
  struct wr_error failure = *error;
  lane->transfer = NULL;
  if (lane->status >= 200 && lane->status < 300) {
    on_taken(lane, first_of(lane));
    return;
  }
  if (lane->status != 0) {
    wr_error_set(&failure, WR_ERROR_PROTOCOL, "the collector answers %d", lane->status);
  }
  on_failure(lane, &failure);
}

static void on_head(void *ctx, struct wr_transfer *t, const struct wr_transfer_head *head)
{
  struct wr_otlp_lane *lane = ctx;
  (void)t;
  lane->status = head->status;
  lane->after_ns = 0;
  struct wr_str after = wr_headers_get(head->headers, WR_STR("Retry-After"));
  if (after.ptr)
    wr_retry_after_parse(after, (int64_t)(wr_loop_wall() / WR_SECOND), &lane->after_ns);
}

// Of an answer that is too long only the beginning is kept, which then makes no sense.
static bool on_data(void *ctx, struct wr_transfer *t, struct wr_str data)
{
  (void)t;
  struct wr_otlp_lane *lane = ctx;
  wr_buf_append_str(&lane->answer, data);
  return true;
}

static void on_writable(void *ctx, struct wr_transfer *t)
{
  (void)ctx;
  (void)t;
}

static const struct wr_transfer_events events = {
    .on_head = on_head, .on_data = on_data, .on_writable = on_writable, .on_end = on_end};

// --- sending ------------------------------------------------------------------------------------

static void put_headers(struct wr_headers *out, const struct wr_otlp_target *t)
{
  wr_headers_add(out, WR_STR("Content-Type"),
                 t->is_json ? WR_STR("application/json") : WR_STR("application/x-protobuf"));
  if (t->is_gzip) wr_headers_add(out, WR_STR("Content-Encoding"), WR_STR("gzip"));
  wr_headers_add(out, WR_STR("User-Agent"), WR_STR("weir/" WEIR_VERSION));
  for (size_t i = 0; i < t->headers.count; i++) {
    wr_headers_set(out, t->headers.items[i].name, t->headers.items[i].value);
  }
}

static void start(struct wr_otlp_lane *lane)
{
  struct wr_otlp_sender *s = lane->sender;
  const struct wr_otlp_target *t = &s->settings->targets[lane->signal];
  const struct wr_otlp_payload *p = first_of(lane);
  uint64_t timeout_ns = t->timeout_ns;
  struct wr_region region;
  struct wr_headers headers;
  wr_region_init(&region, HEAD_BYTES);
  wr_headers_init(&headers, &region, WR_OTLP_PAIRS_MAX + 3);
  put_headers(&headers, t);
  struct wr_transfer_request request = {
      .method = WR_STR("POST"),
      .host = t->uri.host,
      .port = t->uri.port,
      .is_https = t->uri.is_https,
      .is_idempotent = true, // OTLP is at-least-once anyway
      .authority = t->uri.authority,
      .target = t->target,
      .headers = &headers,
      .body_kind = WR_TRANSFER_BODY_BYTES,
      .body = {p->data, p->len},
      .tls = t->tls,
      .timeouts = {.connect_ns = timeout_ns, .total_at_ns = wr_loop_now(s->env->loop) + timeout_ns},
      .ctx = lane,
      .events = &events,
  };
  lane->status = 0;
  lane->after_ns = 0;
  wr_buf_clear(&lane->answer);
  lane->transfer = wr_transfer_start(s->env->transport, &request);
  wr_region_fini(&region);
}

static void send_next(struct wr_otlp_lane *lane)
{
  bool is_leaving = lane->sender->is_leaving;
  bool is_waiting = wr_timer_is_running(&lane->timer) && !is_leaving;
  if (lane->transfer != NULL || is_waiting) return;
  if (!wr_list_is_empty(&lane->queue)) {
    start(lane);
  } else if (is_leaving) {
    wr_timer_stop(&lane->timer); // or the loop would not run dry
  }
}

static void give_up(struct wr_otlp_lane *lane)
{
  wr_timer_stop(&lane->timer);
  if (lane->transfer) wr_transfer_cancel(lane->transfer);
  lane->transfer = NULL;
  while (!wr_list_is_empty(&lane->queue)) lose(lane, first_of(lane), "stopped");
}

static void on_timer(struct wr_timer *t)
{
  struct wr_otlp_lane *lane = WR_CONTAINER(t, struct wr_otlp_lane, timer);
  if (lane->sender->is_leaving) {
    give_up(lane);
  } else {
    send_next(lane);
  }
}

void wr_otlp_sender_put(struct wr_otlp_sender *s, struct wr_otlp_payload *p)
{
  struct wr_otlp_lane *lane = &s->lanes[p->signal];
  wr_list_push(&lane->queue, &p->link);
  lane->bytes += p->len;
  lane->records += p->records;
  publish(lane);
  if (lane->bytes > WR_OTLP_QUEUE_MAX) {
    lose(lane, p, "queue_full");
  } else {
    send_next(lane);
  }
}

// --- life ---------------------------------------------------------------------------------------

void wr_otlp_sender_init(struct wr_otlp_sender *s, const struct wr_otlp_settings *settings,
                         struct wr_script_env *env)
{
  *s = (struct wr_otlp_sender){.settings = settings, .env = env};
  for (int i = 0; i < WR_OTLP_SIGNALS; i++) {
    struct wr_otlp_lane *lane = &s->lanes[i];
    *lane = (struct wr_otlp_lane){.sender = s, .signal = (enum wr_otlp_signal)i};
    wr_list_init(&lane->queue);
    wr_buf_init(&lane->answer, ANSWER_BYTES);
    wr_timer_init(&lane->timer, env->loop, on_timer);
  }
}

void wr_otlp_sender_leave(struct wr_otlp_sender *s)
{
  s->is_leaving = true;
  for (int i = 0; i < WR_OTLP_SIGNALS; i++) {
    wr_timer_start(&s->lanes[i].timer, WR_OTLP_FAREWELL);
    send_next(&s->lanes[i]);
  }
}

void wr_otlp_sender_fini(struct wr_otlp_sender *s)
{
  for (int i = 0; i < WR_OTLP_SIGNALS; i++) {
    give_up(&s->lanes[i]);
    wr_buf_fini(&s->lanes[i].answer);
  }
}
