#include "observe/telemetry.h"

#include "base/memfd.h"
#include "observe/spans.h"

static void deliver(void *ctx, struct wr_otlp_batch *batch)
{
  struct wr_telemetry *t = ctx;
  struct wr_otlp_payload *payload = wr_otlp_batch_take(batch);
  wr_otlp_sender_note(&t->sender, WR_OTLP_TRACES, 0);
  if (payload) wr_otlp_sender_put(&t->sender, payload);
}

static void on_flush(struct wr_timer *timer)
{
  struct wr_telemetry *t = WR_CONTAINER(timer, struct wr_telemetry, flush);
  deliver(t, &t->spans);
}

void wr_telemetry_init(struct wr_telemetry *t, const struct wr_otlp_settings *settings,
                       struct wr_script_env *env)
{
  *t = (struct wr_telemetry){.loop = env->loop};
  if (!wr_otlp_settings_is_on(settings)) return;
  t->settings = settings;
  wr_otlp_sender_init(&t->sender, settings, env);
  wr_otlp_batch_init(&t->spans, settings, WR_OTLP_TRACES, deliver, t);
  wr_timer_init(&t->flush, env->loop, on_flush);
  if (settings->targets[WR_OTLP_TRACES].is_on) env->sampler = &settings->sampler;
}

// Of failures there may be as many as there are requests, just when there is no time for it.
static bool may_keep_failure(struct wr_telemetry *t)
{
  uint64_t second = wr_loop_now(t->loop) / WR_SECOND;
  if (t->second != second) t->failures = 0;
  t->second = second;
  return t->failures++ < WR_TELEMETRY_FAILURES_MAX;
}

static bool is_wanted(struct wr_telemetry *t, const struct wr_serving *s,
                      const struct wr_exchange_stats *stats)
{
  const struct wr_trace *trace = s->request.trail.trace;
  if (trace == NULL || !trace->is_ours) return false;
  if (wr_trace_is_sampled(trace)) return true;
  if (t->settings->sampler.kind == WR_SAMPLER_OFF) return false;
  return wr_spans_is_failure(s, stats) && may_keep_failure(t);
}

void wr_telemetry_request(struct wr_telemetry *t, const struct wr_serving *s,
                          const struct wr_exchange_stats *stats)
{
  if (t->settings == NULL || !is_wanted(t, s, stats)) return;
  const struct wr_otlp_lane *lane = &t->sender.lanes[WR_OTLP_TRACES];
  uint64_t waiting = (uint64_t)lane->records + lane->open;
  uint64_t now = wr_loop_now(t->loop);
  if (waiting >= t->settings->queue_max) {
    wr_otlp_sender_drop(&t->sender, WR_OTLP_TRACES, 1, "queue_full");
    return;
  }
  uint32_t lost = wr_spans_write(&t->spans, s, stats, now, wr_loop_wall() - now);
  if (lost > 0) wr_otlp_sender_drop(&t->sender, WR_OTLP_TRACES, lost, "too_large");
  wr_otlp_sender_note(&t->sender, WR_OTLP_TRACES, t->spans.records);
  bool is_waiting = t->spans.records > 0 && !wr_timer_is_running(&t->flush);
  if (is_waiting) wr_timer_start(&t->flush, t->settings->schedule_ns[WR_OTLP_TRACES]);
}

void wr_telemetry_forward(struct wr_telemetry *t, enum wr_otlp_signal signal, uint32_t records,
                          int fd)
{
  if (t->settings == NULL || signal >= WR_OTLP_SIGNALS) return;
  struct wr_str data = wr_memfd_map(fd);
  if (data.ptr == NULL) {
    wr_otlp_sender_drop(&t->sender, signal, records, "no_memory");
    return;
  }
  wr_otlp_sender_put(&t->sender, wr_otlp_batch_payload(signal, records, data));
  wr_memfd_unmap(data);
}

void wr_telemetry_leave(struct wr_telemetry *t)
{
  if (t->settings == NULL) return;
  wr_timer_stop(&t->flush);
  deliver(t, &t->spans);
  wr_otlp_sender_leave(&t->sender);
}

void wr_telemetry_fini(struct wr_telemetry *t)
{
  if (t->settings == NULL) return;
  wr_timer_stop(&t->flush);
  wr_otlp_sender_fini(&t->sender);
  wr_otlp_batch_fini(&t->spans);
}
