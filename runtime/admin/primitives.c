#include "admin/primitives.h"

#include "admin/primitives_upstream.h"
#include "base/duration.h"
#include "resilience/breaker.h"
#include "resilience/budget.h"
#include "resilience/bulkhead.h"
#include "resilience/chaos.h"
#include "resilience/flag.h"
#include "resilience/health.h"
#include "resilience/hedge.h"
#include "resilience/lease.h"
#include "resilience/limiter.h"
#include "resilience/shedder.h"
#include "resilience/throttle.h"
#include "script/guard_cache.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>

static void put_health(struct wr_entry *entry, uint64_t now_ns, struct wr_json *j)
{
  const struct wr_health *h = entry->state;
  const struct wr_health_result *newest = wr_health_at(h, 0);
  wr_json_field_cstr(j, "state", wr_health_verdict_name(wr_health_verdict(h)));
  wr_json_field_num(j, "since_s", wr_duration_s(now_ns - h->since_ns));
  wr_json_field_cstr(j, "type", wr_health_type_name((enum wr_health_type)h->config.type));
  wr_json_field_bool(j, "critical", h->config.is_critical);
  wr_json_field_bool(j, "stale", wr_health_is_stale(h, now_ns));
  wr_json_key(j, "latency_ms");
  newest ? wr_json_num(j, newest->latency_us / 1e3) : wr_json_null(j);
  wr_json_field_cstr(j, "output", h->output);
  wr_json_field_uint(j, "passed", h->passed);
  wr_json_field_uint(j, "failed", h->failed);
}

static void put_flag(struct wr_entry *entry, uint64_t now_ns, struct wr_json *j)
{
  const struct wr_flag *f = entry->state;
  wr_json_field_num(j, "percent", wr_flag_share(f) / 1e4);
  wr_json_field_bool(j, "overridden", f->is_overridden);
  wr_json_field_cstr(j, "by", wr_flag_actor_name((enum wr_flag_actor)f->actor));
  wr_json_field_cstr(j, "why", f->why);
  for (int i = 0; i < WR_FLAG_RESULTS; i++) {
    wr_json_field_uint(j, wr_flag_result_name((enum wr_flag_result)i), f->counts[i]);
  }
  wr_json_field_num(j, "policy_percent", f->config.share / 1e4);
  wr_json_field_num(j, "since_s", wr_duration_s(now_ns - f->since_ns));
}

static void put_breaker(struct wr_entry *entry, uint64_t now_ns, struct wr_json *j)
{
  struct wr_breaker_stats stats;
  wr_breaker_stats(entry->state, now_ns, &stats);
  wr_json_field_cstr(j, "state", wr_breaker_state_name((enum wr_breaker_state)stats.state));
  wr_json_field_cstr(j, "mode", wr_breaker_mode_name((enum wr_breaker_mode)stats.mode));
  wr_json_field_uint(j, "calls", stats.calls);
  wr_json_field_num(j, "failure_rate", stats.failure_rate);
  wr_json_field_num(j, "slow_rate", stats.slow_rate);
  wr_json_field_uint(j, "probes", stats.probes);
  wr_json_field_num(j, "since_s", wr_duration_s(now_ns - stats.since_ns));
  wr_json_field_num(j, "retry_after_s", wr_duration_s(stats.retry_after_ns));
  const struct wr_breaker *b = entry->state;
  wr_json_field_num(j, "failure_rate_limit", b->config.failure_rate); // 0: that rule is off
  wr_json_field_num(j, "slow_rate_limit", b->config.slow_rate);
  wr_json_field_uint(j, "min_calls", wr_breaker_config_min_calls(&b->config));
  wr_json_field_uint(j, "in_flight", stats.inflight);
  wr_json_field_uint(j, "trips", stats.trips);
  wr_json_field_num(j, "share", stats.share);
  wr_json_field_uint(j, "successful", b->counters.successful);
  wr_json_field_uint(j, "failed", b->counters.failed);
  wr_json_field_uint(j, "refused", b->counters.not_permitted);
}

static void put_budget(struct wr_entry *entry, uint64_t now_ns, struct wr_json *j)
{
  struct wr_budget *b = entry->state;
  wr_json_field_num(j, "remaining", wr_budget_remaining(b, now_ns));
  wr_json_field_num(j, "share", wr_budget_share(b, now_ns));
  wr_json_field_num(j, "ratio", b->config.ratio);
  wr_json_field_uint(j, "min", b->config.min);
  wr_json_field_num(j, "span_s", wr_duration_s(b->config.span_ns));
  wr_json_field_uint(j, "granted", b->withdrawn);
  wr_json_field_uint(j, "denied", b->denied);
}

static void put_bulkhead(struct wr_entry *entry, uint64_t now_ns, struct wr_json *j)
{
  (void)now_ns;
  const struct wr_bulkhead *b = entry->state;
  const struct wr_bulkhead_counters *c = &b->counters;
  uint64_t refused = c->refused_full + c->refused_queue_full + c->expired;
  wr_json_field_uint(j, "in_use", b->in_use);
  wr_json_field_uint(j, "max", b->config.max);
  wr_json_field_bool(j, "overridden", b->declared_max > 0);
  if (b->declared_max > 0) wr_json_field_uint(j, "policy_max", b->declared_max);
  wr_json_field_uint(j, "queued", b->queued);
  wr_json_field_uint(j, "queue", b->config.queue);
  wr_json_field_uint(j, "admitted", c->admitted);
  wr_json_field_uint(j, "refused", refused);
  wr_json_field_bool(j, "shadow", b->config.shadow);
  wr_json_field_uint(j, "max_keys", b->config.max_keys);
  wr_json_field_uint(j, "keys", b->keys);
}

// Whom it refuses most, by the hash of their keys: a key may be a credential.
static void put_refused_keys(const struct wr_limiter *l, uint64_t now_ns, struct wr_json *j)
{
  struct wr_toplist_entry top[WR_TOPLIST_ROWS];
  size_t count = wr_toplist_read(&l->refused, now_ns, top);
  wr_json_key(j, "refused_keys");
  wr_json_array(j);
  for (size_t i = 0; i < count; i++) {
    char key[24];
    snprintf(key, sizeof(key), "%016llx", (unsigned long long)top[i].key);
    wr_json_object(j);
    wr_json_field_cstr(j, "key", key);
    wr_json_field_uint(j, "refused", top[i].count);
    wr_json_field_num(j, "last_s", wr_duration_s(now_ns - top[i].seen_ns));
    wr_json_object_end(j);
  }
  wr_json_array_end(j);
}

static void put_limiter(struct wr_entry *entry, uint64_t now_ns, struct wr_json *j)
{
  const struct wr_limiter *l = entry->state;
  struct wr_limiter_look look;
  wr_limiter_look(l, 0, now_ns, &look);
  wr_json_field_uint(j, "limit", look.limit);
  wr_json_field_num(j, "per_s", wr_duration_s(look.span_ns));
  wr_json_field_bool(j, "overridden", l->declared_limit > 0);
  if (l->declared_limit > 0) wr_json_field_uint(j, "policy_limit", l->declared_limit);
  wr_json_field_uint(j, "left", look.left);
  wr_json_field_uint(j, "waiting", l->waiting);
  wr_json_field_uint(j, "admitted", l->counters.admitted);
  wr_json_field_uint(j, "refused", l->counters.refused);
  wr_json_field_uint(j, "max_keys", l->config.max_keys);
  wr_json_field_uint(j, "keys", l->keys);
  wr_json_field_bool(j, "shadow", l->config.shadow);
  put_refused_keys(l, now_ns, j);
}

static void put_lease(struct wr_entry *entry, uint64_t now_ns, struct wr_json *j)
{
  const struct wr_lease *l = entry->state;
  bool has_run = l->begun_ns != 0;
  wr_json_field_bool(j, "running", l->token != 0);
  wr_json_key(j, "worker"); // whose run is under way, or was the last one
  has_run || l->token ? wr_json_num(j, l->owner) : wr_json_null(j);
  wr_json_field_uint(j, "token", l->token);
  wr_json_field_num(j, "interval_s", wr_duration_s(l->config.interval_ns));
  wr_json_field_num(j, "last_s", has_run ? wr_duration_s(now_ns - l->begun_ns) : NAN);
  wr_json_field_num(j, "next_s", l->due_ns > now_ns ? wr_duration_s(l->due_ns - now_ns) : 0);
  wr_json_field_uint(j, "waiting", l->waiting);
  wr_json_field_uint(j, "runs", l->counters.begun);
  wr_json_field_uint(j, "lost", l->counters.lost);
}

static void put_shedder(struct wr_entry *entry, uint64_t now_ns, struct wr_json *j)
{
  (void)now_ns;
  const struct wr_shedder *s = entry->state;
  enum wr_adaptive_rule rule = (enum wr_adaptive_rule)s->config.limit.rule;
  wr_json_field_cstr(j, "rule", wr_adaptive_rule_name(rule));
  wr_json_field_uint(j, "in_use", s->in_use);
  wr_json_field_uint(j, "limit", wr_shedder_limit(s));
  wr_json_field_uint(j, "queued", s->queued);
  wr_json_field_num(j, "latency_s", floor(s->adaptive.latency_ns / 1e3) / 1e6);
  double baseline_ns = s->adaptive.baseline_ns; // what it compares with: vegas' minRTT
  wr_json_field_num(j, "baseline_s", baseline_ns > 0 ? floor(baseline_ns / 1e3) / 1e6 : NAN);
  wr_json_field_num(j, "overload", s->overload.level);
  wr_json_field_bool(j, "shadow", s->config.shadow);
  wr_json_key(j, "shed");
  wr_json_object(j);
  for (int i = 0; i < WR_PRIORITIES; i++) {
    enum wr_priority priority = (enum wr_priority)i;
    wr_json_field_uint(j, wr_priority_name(priority), wr_shedder_shed(s, priority));
  }
  wr_json_object_end(j);
}

static void put_throttle(struct wr_entry *entry, uint64_t now_ns, struct wr_json *j)
{
  struct wr_throttle *t = entry->state;
  wr_json_field_num(j, "refuses", wr_throttle_probability(t, now_ns));
  wr_json_field_uint(j, "admitted", t->counters.admitted);
  wr_json_field_uint(j, "refused", t->counters.refused);
  wr_json_field_bool(j, "shadow", t->config.shadow);
}

static void put_hedge(struct wr_entry *entry, uint64_t now_ns, struct wr_json *j)
{
  struct wr_hedge *h = entry->state;
  const struct wr_hedge_counters *c = &h->counters;
  uint64_t delay_ns = wr_hedge_delay(h, now_ns);
  // null: it does not know yet what slow is
  wr_json_field_num(j, "delay_s", delay_ns == WR_HEDGE_NEVER ? NAN : wr_duration_s(delay_ns));
  wr_json_field_num(j, "extra_load", wr_hedge_load(h, now_ns));
  wr_json_field_uint(j, "calls", c->calls);
  wr_json_field_uint(j, "hedges", c->slow + c->failed);
  wr_json_field_uint(j, "won", c->ends[WR_HEDGE_HEDGE]);
  wr_json_field_uint(j, "denied", c->denied + c->denied_budget);
}

static uint64_t counted(const struct wr_cache_space *s, enum wr_cache_event event)
{
  return atomic_load_explicit(&s->events[event], memory_order_relaxed);
}

static void put_cache(struct wr_entry *entry, uint64_t now_ns, struct wr_json *j)
{
  (void)now_ns;
  const struct wr_cache_state *c = entry->state;
  double served = (double)counted(&c->space, WR_CACHE_HIT) +
                  (double)counted(&c->space, WR_CACHE_STALE) +
                  (double)counted(&c->space, WR_CACHE_COALESCED);
  double asked = served + (double)counted(&c->space, WR_CACHE_MISS) +
                 (double)counted(&c->space, WR_CACHE_NEGATIVE);
  wr_json_field_num(j, "hit_rate", asked > 0 ? floor(served / asked * 1e4) / 1e4 : 0);
  wr_json_field_uint(j, "fetching", c->flight.leaders);
  wr_json_field_uint(j, "waiting", c->flight.followers);
  for (int i = 0; i < WR_CACHE_EVENTS; i++) {
    enum wr_cache_event event = (enum wr_cache_event)i;
    wr_json_field_uint(j, wr_cache_event_name(event), counted(&c->space, event));
  }
}

static void put_chaos(struct wr_entry *entry, uint64_t now_ns, struct wr_json *j)
{
  const struct wr_chaos *c = entry->state;
  bool is_armed = wr_chaos_is_armed(c, now_ns);
  wr_json_field_bool(j, "armed", is_armed);
  wr_json_field_cstr(j, "cause", wr_chaos_cause_name((enum wr_chaos_cause)c->cause));
  wr_json_field_num(j, "left_s", is_armed ? wr_duration_s(atomic_load(&c->until_ns) - now_ns) : 0);
  wr_json_field_num(j, "probability", c->config.probability);
  wr_json_field_uint(j, "seen", c->seen);
  wr_json_field_uint(j, "injected", c->injected);
  wr_json_field_bool(j, "permitted", c->config.is_permitted);
}

// Each kind that is shown: the name of its list, and what is told of one besides its name, under
// its lock.
static const struct {
  const char *plural;
  void (*put)(struct wr_entry *entry, uint64_t now_ns, struct wr_json *j);
} shown[WR_KINDS] = {
    [WR_KIND_BREAKER] = {"breakers", put_breaker},
    [WR_KIND_FLAG] = {"flags", put_flag},
    [WR_KIND_HEALTH] = {"checks", put_health},
    [WR_KIND_BULKHEAD] = {"bulkheads", put_bulkhead},
    [WR_KIND_CACHE] = {"caches", put_cache},
    [WR_KIND_THROTTLE] = {"throttles", put_throttle},
    [WR_KIND_HEDGE] = {"hedges", put_hedge},
    [WR_KIND_SHEDDER] = {"shedders", put_shedder},
    [WR_KIND_CHAOS] = {"chaos", put_chaos},
    [WR_KIND_LIMITER] = {"limiters", put_limiter},
    [WR_KIND_LEASE] = {"leases", put_lease},
    [WR_KIND_BUDGET] = {"budgets", put_budget},
    [WR_KIND_UPSTREAM] = {"upstreams", wr_primitives_upstream_put},
};

void wr_primitives_write_kind(struct wr_registry *r, enum wr_kind kind, uint64_t now_ns,
                              struct wr_json *j)
{
  struct wr_entry *entry;
  uint32_t at = 0;
  wr_json_array(j);
  while ((entry = wr_registry_each(r, &at)) != NULL) {
    if (entry->kind != kind) continue;
    uint32_t generation = atomic_load(&entry->generation);
    if (!wr_registry_lock(r, entry, generation, now_ns)) continue;
    wr_json_object(j);
    wr_json_field_cstr(j, "name", entry->name);
    shown[kind].put(entry, now_ns, j);
    wr_json_object_end(j);
    wr_registry_unlock(r, entry);
  }
  wr_json_array_end(j);
}

void wr_primitives_write(struct wr_registry *r, uint64_t now_ns, struct wr_json *j)
{
  for (int kind = 0; kind < WR_KINDS; kind++) {
    if (shown[kind].plural == NULL) continue;
    wr_json_key(j, shown[kind].plural);
    wr_primitives_write_kind(r, (enum wr_kind)kind, now_ns, j);
  }
}

enum wr_kind wr_primitives_kind(struct wr_str plural)
{
  for (int kind = 0; kind < WR_KINDS; kind++) {
    const char *known = shown[kind].plural;
    if (known && wr_str_eq(plural, wr_str_of(known))) return (enum wr_kind)kind;
  }
  return WR_KINDS;
}

const char *wr_primitives_plural(const char *noun)
{
  for (int kind = 0; kind < WR_KINDS; kind++) {
    if (strcmp(wr_registry_kind_name((enum wr_kind)kind), noun) == 0) return shown[kind].plural;
  }
  return NULL;
}
