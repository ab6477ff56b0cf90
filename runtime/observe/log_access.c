#include "observe/log_access.h"

#include "arena/slot.h"
#include "base/decimal.h"
#include "base/duration.h"
#include "http/method.h"
#include "policy/problem.h"
#include "script/meter.h"

// Query values often carry secrets; the path alone says what was asked (research/ecosystem.md
// §3.2).
static void put_request(struct wr_json *j, const struct wr_serving *s,
                        const struct wr_exchange_info *info)
{
  wr_json_member_str(j, WR_STR("request_id"), info->request_id);
  wr_trace_name(s->request.trail.trace, j);
  wr_json_member_str(j, WR_STR("method"), info->head->method);
  wr_json_member_str(j, WR_STR("path"), info->path);
  wr_json_member_str(j, WR_STR("version"), info->version);
  wr_json_member_str(j, WR_STR("route"), wr_str_of(s->request.trail.route));
  wr_json_member_str(j, WR_STR("client"), s->request.client);
  wr_json_member_uint(j, WR_STR("generation"), s->generation_number);
}

static void put_trail(struct wr_json *j, const struct wr_trail *trail)
{
  if (trail->attempts > 0) {
    wr_json_member_str(j, WR_STR("upstream"),
                       wr_str_of(trail->upstream[0] ? trail->upstream : NULL));
    wr_json_member_str(j, WR_STR("endpoint"), wr_str_of(trail->endpoint));
    wr_json_member_num(j, WR_STR("upstream_ms"), wr_duration_ms(trail->upstream_ns));
  }
  wr_json_member_uint(j, WR_STR("attempts"), trail->attempts);
  if (trail->hedges > 0) wr_json_member_uint(j, WR_STR("hedges"), trail->hedges);
  if (trail->rung > 0) wr_json_member_str(j, WR_STR("rung"), wr_str_of(trail->rung_name));
  if (trail->queue_ns > 0)
    wr_json_member_num(j, WR_STR("queue_ms"), wr_duration_ms(trail->queue_ns));
  if (trail->error != WR_ERROR_NONE)
    wr_json_member_str(j, WR_STR("error"), wr_str_of(wr_error_name(trail->error)));
  if (trail->refused_by[0]) {
    wr_json_member_str(j, WR_STR("refused_by"), wr_str_of(trail->refused_by));
    if (trail->refused_policy[0])
      wr_json_member_str(j, WR_STR("policy"), wr_str_of(trail->refused_policy));
    wr_json_member_uint(j, WR_STR("retry_after"), wr_problem_retry_after(trail->refused_after_ns));
  }
}

static uint32_t duration_of(struct wr_meter *m, const struct wr_serving *s, int status)
{
  const struct wr_exchange_info *info = s->request.info;
  const char *method = wr_method_name(info->head->method);
  const char *route = s->request.trail.route;
  uint64_t code = (uint64_t)status << 8 | (uint8_t)info->version.ptr[info->version.len - 1];
  uint32_t *series = wr_meter_memo(m, WR_METRIC_HTTP_SERVER_DURATION, route, method, code);
  if (*series != WR_SERIES_NONE) return *series;
  char digits[WR_DECIMAL_SIZE];
  wr_decimal_write(digits, (uint64_t)status);
  return *series = wr_meter_series(m, WR_METRIC_HTTP_SERVER_DURATION, "http_request_method", method,
                                   "http_response_status_code", digits, "http_route", route,
                                   "network_protocol_version", info->version.ptr, NULL);
}

// The request is an example of its bucket, for whoever wants to see a trace of that.
static void set_example(struct wr_script_env *env, const struct wr_serving *s, uint32_t series,
                        double seconds)
{
  const struct wr_trace *trace = s->request.trail.trace;
  bool is_recorded = trace != NULL && (trace->context.flags & WR_TRACE_SAMPLED) != 0;
  if (!is_recorded) return;
  struct wr_slot *slot = wr_slot_of(env->arena, env->shard);
  uint32_t bucket = wr_series_bucket(env->arena, series, seconds);
  struct wr_exemplar_view example = {.value = seconds, .wall_ns = wr_loop_wall()};
  memcpy(example.trace_id, trace->context.trace_id, WR_EXEMPLAR_TRACE);
  memcpy(example.span_id, trace->context.span_id, WR_EXEMPLAR_SPAN);
  wr_exemplar_put(&slot->exemplars[bucket], series, &example);
}

static void observe_body(struct wr_meter *m, enum wr_metric metric, const char *route,
                         uint64_t bytes)
{
  if (bytes == 0) return;
  uint32_t series = wr_meter_one(m, metric, "http_route", route);
  wr_series_observe(m->arena, m->shard, series, (double)bytes);
}

static void count(struct wr_script_env *env, const struct wr_serving *s, const char *why,
                  const struct wr_exchange_stats *stats, double seconds)
{
  struct wr_meter *m = env->meter;
  // How long a tunnel was open says nothing of how quick we are.
  if (!s->is_tunnel) {
    uint32_t series = duration_of(m, s, stats->status);
    wr_series_observe(m->arena, m->shard, series, seconds);
    set_example(env, s, series, seconds);
    const char *route = s->request.trail.route;
    observe_body(m, WR_METRIC_HTTP_SERVER_REQUEST_BODY, route, stats->received_bytes);
    observe_body(m, WR_METRIC_HTTP_SERVER_RESPONSE_BODY, route, stats->sent_bytes);
  }
  static const char *const labels[] = {"route", "why"};
  wr_meter_count(m, WR_METRIC_RESPONSES, labels, s->request.trail.route, why);
}

void wr_log_access(struct wr_script_env *env, const struct wr_serving *s,
                   const struct wr_exchange_stats *stats, const char *why)
{
  const struct wr_exchange_info *info = s->request.info;
  uint64_t took_ns = wr_loop_now(env->loop) - info->start_ns;
  count(env, s, why, stats, (double)took_ns / 1e9);
  struct wr_json *j = wr_log_begin(env->log, WR_LOG_INFO, "access");
  if (j == NULL) return;
  put_request(j, s, info);
  wr_json_member_uint(j, WR_STR("status"), (uint64_t)stats->status);
  wr_json_member_str(j, WR_STR("why"), wr_str_of(why));
  wr_json_member_num(j, WR_STR("duration_ms"), wr_duration_ms(took_ns));
  wr_json_member_uint(j, WR_STR("received_bytes"), stats->received_bytes);
  wr_json_member_uint(j, WR_STR("sent_bytes"), stats->sent_bytes);
  put_trail(j, &s->request.trail);
  wr_log_end(env->log);
}
