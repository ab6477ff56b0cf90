#include "observe/events.h"

#include "base/duration.h"
#include "http/tls.h"
#include "script/meter.h"

#include <math.h>

static const char *state_name(uint8_t state)
{
  return wr_breaker_state_name((enum wr_breaker_state)state);
}

// A float as a double has digits that nobody measured.
static double ratio(float value)
{
  return round((double)value * 1e4) / 1e4;
}

static void tell_breaker(struct wr_log *log, struct wr_meter *meter, struct wr_entry *entry,
                         const struct wr_breaker_event *event)
{
  const char *cause = wr_breaker_cause_name((enum wr_breaker_cause)event->cause);
  if (meter) {
    wr_meter_add(meter, WR_METRIC_BREAKER_TRANSITIONS, 1, "name", entry->name, "from",
                 state_name(event->from), "to", state_name(event->to), "reason", cause, NULL);
  }
  struct wr_json *j = wr_log_begin(log, WR_LOG_WARN, "breaker.transition");
  if (j == NULL) return;
  wr_json_field_cstr(j, "name", entry->name);
  wr_json_field_cstr(j, "from", state_name(event->from));
  wr_json_field_cstr(j, "to", state_name(event->to));
  wr_json_field_cstr(j, "cause", cause);
  wr_json_field_uint(j, "seq", event->seq);
  wr_json_field_uint(j, "calls", event->calls);
  wr_json_field_num(j, "failure_rate", ratio(event->failure_rate));
  wr_json_field_num(j, "slow_rate", ratio(event->slow_rate));
  wr_log_end(log);
}

static void tell_health(struct wr_log *log, struct wr_meter *meter, struct wr_entry *entry,
                        const struct wr_health_event *event)
{
  const char *to = wr_health_verdict_name((enum wr_health_verdict)event->to);
  bool is_down = event->to == WR_HEALTH_DOWN;
  if (meter) {
    wr_meter_add(meter, WR_METRIC_HEALTH_TRANSITIONS, 1, "name", entry->name, "to", to, NULL);
  }
  struct wr_json *j = wr_log_begin(log, is_down ? WR_LOG_WARN : WR_LOG_INFO, "health.transition");
  if (j == NULL) return;
  wr_json_field_cstr(j, "name", entry->name);
  wr_json_field_cstr(j, "from", wr_health_verdict_name((enum wr_health_verdict)event->from));
  wr_json_field_cstr(j, "to", to);
  if (is_down) {
    wr_json_field_cstr(j, "error", wr_error_name((enum wr_error_kind)event->error));
    wr_json_field_cstr(j, "message", event->output);
  }
  wr_log_end(log);
}

static void tell_flag(struct wr_log *log, struct wr_meter *meter, struct wr_entry *entry,
                      const struct wr_flag_event *event)
{
  const char *who = wr_flag_actor_name((enum wr_flag_actor)event->actor);
  if (meter) {
    wr_meter_add(meter, WR_METRIC_FLAG_CHANGES, 1, "name", entry->name, "by", who, NULL);
  }
  struct wr_json *j = wr_log_begin(log, WR_LOG_WARN, "flag.transition");
  if (j == NULL) return;
  wr_json_field_cstr(j, "name", entry->name);
  wr_json_field_num(j, "from_percent", event->from / 1e4);
  wr_json_field_num(j, "to_percent", event->to / 1e4);
  wr_json_field_cstr(j, "by", who);
  if (event->why[0]) wr_json_field_cstr(j, "why", event->why);
  wr_log_end(log);
}

static void tell_chaos(struct wr_log *log, struct wr_entry *entry,
                       const struct wr_chaos_event *event)
{
  struct wr_json *j = wr_log_begin(log, WR_LOG_WARN, "chaos.transition");
  if (j == NULL) return;
  wr_json_field_cstr(j, "name", entry->name);
  wr_json_field_bool(j, "armed", event->cause == WR_CHAOS_APPLIED);
  wr_json_field_cstr(j, "cause", wr_chaos_cause_name((enum wr_chaos_cause)event->cause));
  wr_json_field_uint(j, "met", event->seen);
  wr_json_field_uint(j, "injected", event->injected);
  wr_log_end(log);
}

static void put_outlier(struct wr_json *j, const struct wr_outlier_event *event)
{
  wr_json_field_cstr(j, "to", event->is_ejected ? "ejected" : "back");
  wr_json_field_cstr(j, "cause", wr_outlier_cause_name((enum wr_outlier_cause)event->cause));
  if (!event->is_ejected) return;
  wr_json_field_num(j, "for_s", wr_duration_ms(event->for_ns) / 1e3);
  wr_json_field_uint(j, "consecutive", event->consecutive);
  wr_json_field_uint(j, "calls", event->calls);
  wr_json_field_uint(j, "failures", event->failures);
  if (event->p90_ns == 0) return;
  wr_json_field_num(j, "p90_ms", wr_duration_ms(event->p90_ns));
  wr_json_field_num(j, "median_ms", wr_duration_ms(event->median_ns));
}

static void put_health(struct wr_json *j, const struct wr_roster_event *event)
{
  wr_json_field_cstr(j, "to", event->is_on ? "healthy" : "unhealthy");
  if (event->is_on) return;
  wr_json_field_cstr(j, "cause", wr_error_name((enum wr_error_kind)event->error));
}

// An endpoint's own events, and those of its upstream.
static void tell_roster(struct wr_log *log, struct wr_entry *entry,
                        const struct wr_roster_event *event)
{
  static const char *const names[] = {"endpoint.transition", "endpoint.transition",
                                      "upstream.panic", "upstream.endpoints"};
  bool is_bad = (event->news == WR_ROSTER_OUTLIER && event->outlier.is_ejected) ||
                (event->news == WR_ROSTER_HEALTH && !event->is_on) ||
                (event->news == WR_ROSTER_PANIC && event->is_on);
  struct wr_json *j = wr_log_begin(log, is_bad ? WR_LOG_WARN : WR_LOG_INFO, names[event->news]);
  if (j == NULL) return;
  wr_json_field_cstr(j, "upstream", entry->name);
  if (event->url[0]) wr_json_field_cstr(j, "endpoint", event->url);
  if (event->news == WR_ROSTER_OUTLIER) put_outlier(j, &event->outlier);
  if (event->news == WR_ROSTER_HEALTH) put_health(j, event);
  if (event->news == WR_ROSTER_PANIC) wr_json_field_bool(j, "on", event->is_on);
  if (event->news == WR_ROSTER_CHANGED) {
    wr_json_field_uint(j, "added", event->added);
    wr_json_field_uint(j, "removed", event->removed);
  }
  wr_json_field_uint(j, "usable", event->usable);
  wr_json_field_uint(j, "endpoints", event->count);
  wr_log_end(log);
}

void wr_events_primitive(struct wr_log *log, struct wr_meter *meter, struct wr_entry *entry,
                         const union wr_guard_event *event)
{
  switch (entry->kind) {
  case WR_KIND_BREAKER: tell_breaker(log, meter, entry, &event->breaker); break;
  case WR_KIND_HEALTH: tell_health(log, meter, entry, &event->health); break;
  case WR_KIND_CHAOS: tell_chaos(log, entry, &event->chaos); break;
  case WR_KIND_UPSTREAM: tell_roster(log, entry, &event->roster); break;
  case WR_KIND_FLAG: tell_flag(log, meter, entry, &event->flag); break;
  default: break;
  }
}

static void set(struct wr_script_env *env, uint32_t family, double value)
{
  wr_series_set(env->arena, env->shard, wr_meter_series(env->meter, family, NULL), value);
}

static void count_limit(struct wr_script_env *env, const char *limit, uint64_t now, uint64_t before)
{
  if (now == before) return;
  wr_meter_add(env->meter, WR_METRIC_LIMITS, (double)(now - before), "limit", limit, NULL);
}

static void count_bad(struct wr_script_env *env, const char *reason, uint64_t now, uint64_t before)
{
  if (now == before) return;
  wr_meter_add(env->meter, WR_METRIC_SERVER_BAD_REQUESTS, (double)(now - before), "reason", reason,
               NULL);
}

static void count_refused(struct wr_script_env *env, const char *reason, uint64_t now,
                          uint64_t before)
{
  if (now == before) return;
  wr_meter_add(env->meter, WR_METRIC_SERVER_REFUSED, (double)(now - before), "reason", reason,
               NULL);
}

static void count_tls(struct wr_script_env *env, const struct wr_server_stats *now,
                      const struct wr_server_stats *last)
{
  for (int i = 0; i < 4; i++) {
    uint64_t count = now->tls_handshakes[i / 2][i % 2] - last->tls_handshakes[i / 2][i % 2];
    if (count == 0) continue;
    wr_meter_add(env->meter, WR_METRIC_TLS_HANDSHAKES, (double)count, "version",
                 i / 2 ? "1.3" : "1.2", "session", i % 2 ? "resumed" : "new", NULL);
  }
  for (int i = 0; i < WR_TLS_FAILURES; i++) {
    uint64_t count = now->tls_failures[i] - last->tls_failures[i];
    if (count == 0) continue;
    wr_meter_add(env->meter, WR_METRIC_TLS_FAILURES, (double)count, "reason",
                 wr_tls_failure_name((enum wr_tls_failure)i), NULL);
  }
}

static void count_floods(struct wr_script_env *env, const struct wr_server_stats *now,
                         const struct wr_server_stats *last)
{
  for (size_t i = 0; i < WR_H2_STRAIN_KINDS; i++) {
    uint64_t more = now->h2_floods[i] - last->h2_floods[i];
    if (more == 0) continue;
    wr_meter_add(env->meter, WR_METRIC_H2_FLOODS, (double)more, "reason",
                 wr_h2_strain_name((enum wr_h2_strain_kind)i), NULL);
  }
}

static void count_server(struct wr_script_env *env, const struct wr_server_stats *now,
                         const struct wr_server_stats *last)
{
  wr_meter_add(env->meter, WR_METRIC_SERVER_CONNECTIONS_TOTAL,
               (double)(now->accepted - last->accepted), NULL);
  wr_meter_add(env->meter, WR_METRIC_H2_CONNECTIONS,
               (double)(now->h2_connections - last->h2_connections), NULL);
  count_refused(env, "client_limit", now->refused_client, last->refused_client);
  count_refused(env, "proxy_protocol", now->refused_proxy, last->refused_proxy);
  count_refused(env, "descriptors", now->refused_descriptors, last->refused_descriptors);
  wr_meter_add(env->meter, WR_METRIC_SERVER_RECLAIMED, (double)(now->reclaimed - last->reclaimed),
               NULL);
  count_tls(env, now, last);
  count_floods(env, now, last);
  count_bad(env, "grammar", now->bad_requests, last->bad_requests);
  count_bad(env, "head_timeout", now->head_timeouts, last->head_timeouts);
  count_bad(env, "body_timeout", now->body_timeouts, last->body_timeouts);
  count_bad(env, "send_timeout", now->send_timeouts, last->send_timeouts);
  count_limit(env, "connections", now->accept_paused, last->accept_paused);
  count_limit(env, "client_cells", now->uncounted, last->uncounted);
}

static void sample_pools(struct wr_script_env *env)
{
  struct wr_transport_connections now = {0};
  wr_transport_count(env->transport, &now);
  const struct {
    const char *state;
    size_t number;
  } rows[] = {{"active", now.active}, {"idle", now.idle}};
  for (size_t i = 0; i < WR_COUNT(rows); i++) {
    uint32_t series = wr_meter_series(env->meter, WR_METRIC_HTTP_CLIENT_CONNECTIONS,
                                      "http_connection_state", rows[i].state, NULL);
    wr_series_set(env->arena, env->shard, series, (double)rows[i].number);
  }
}

static void sample_certificates(struct wr_script_env *env, const struct wr_script *script)
{
  WR_LIST_EACH(&script->declared.listens, node) {
    struct wr_listen_declared *d = WR_CONTAINER(node, struct wr_listen_declared, link);
    if (d->options.tls == NULL) continue;
    wr_series_set(env->arena, env->shard,
                  wr_meter_series(env->meter, WR_METRIC_TLS_EXPIRY, "address", d->address, NULL),
                  (double)wr_tls_end(d->options.tls));
  }
}

void wr_events_sample(struct wr_script_env *env, const struct wr_server *server,
                      const struct wr_serve *serve, struct wr_server_stats *last)
{
  const struct wr_server_stats *stats = wr_server_stats(server);
  count_server(env, stats, last);
  *last = *stats;
  set(env, WR_METRIC_SERVER_CONNECTIONS, (double)stats->open);
  set(env, WR_METRIC_HTTP_SERVER_ACTIVE, (double)serve->active);
  set(env, WR_METRIC_TUNNELS, (double)serve->tunnels);
  sample_pools(env);
  wr_meter_add(env->meter, WR_METRIC_LOG_DROPS, (double)env->log->dropped, NULL);
  env->log->dropped = 0;
  if (serve->live == NULL) return;
  sample_certificates(env, serve->live->script);
  set(env, WR_METRIC_LUA_MEMORY, (double)serve->live->script->vm.used_bytes);
  set(env, WR_METRIC_POLICY_GENERATION, (double)serve->live->number);
}
