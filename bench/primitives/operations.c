// What is measured: one row per primitive, its pure function beside the same through the guard.

#include "arena/lock.h"
#include "base/check.h"
#include "base/duration.h"
#include "bench.h"
#include "resilience/chaos.h"
#include "resilience/flag.h"
#include "resilience/shedder.h"
#include "resilience/throttle.h"
#include "script/guard_cache.h"
#include "script/guard_hedge.h"

#include <pthread.h>
#include <string.h>

enum {
  BREAKER,
  LENIENT,
  BULKHEAD,
  LIMITER,
  TENANTS,
  SHEDDER,
  THROTTLE,
  BUDGET,
  HEDGE,
  FLAG,
  CHAOS,
  CACHE,
};

static void breaker_config(void *config)
{
  wr_breaker_config_init(config);
}

// Counts failures and never trips.
static void lenient_config(void *config)
{
  struct wr_breaker_config *c = config;
  wr_breaker_config_init(c);
  c->failure_rate = 0;
}

static void bulkhead_config(void *config)
{
  wr_bulkhead_config_init(config);
}

static void budget_config(void *config)
{
  wr_budget_config_init(config);
}

// So fast that every call passes.
static void limiter_config(void *config)
{
  struct wr_limiter_config *c = config;
  wr_limiter_config_init(c);
  c->limit = c->burst = WR_LIMITER_CALLS_MAX;
}

static void tenants_config(void *config)
{
  limiter_config(config);
  ((struct wr_limiter_config *)config)->max_keys = WR_LIMITER_KEYS_MAX;
}

static void shedder_config(void *config)
{
  wr_shedder_config_init(config);
}

static void throttle_config(void *config)
{
  wr_throttle_config_init(config);
}

static void hedge_config(void *config)
{
  wr_hedge_config_init(config);
}

static void flag_config(void *config)
{
  struct wr_flag_config *c = config;
  c->share = WR_FLAG_WHOLE / 2;
}

static void chaos_config(void *config)
{
  wr_chaos_config_init(config);
}

static void cache_config(void *config)
{
  struct wr_cache_options *c = config;
  c->space.ttl_ns = 3600 * UINT64_C(1000000000);
}

const struct bench_sample bench_samples[] = {
    [BREAKER] = {"breaker", WR_KIND_BREAKER, breaker_config},
    [LENIENT] = {"lenient breaker", WR_KIND_BREAKER, lenient_config},
    [BULKHEAD] = {"bulkhead", WR_KIND_BULKHEAD, bulkhead_config},
    [LIMITER] = {"limiter", WR_KIND_LIMITER, limiter_config},
    [TENANTS] = {"keyed limiter", WR_KIND_LIMITER, tenants_config},
    [BUDGET] = {"retry budget", WR_KIND_BUDGET, budget_config},
    [SHEDDER] = {"shedder", WR_KIND_SHEDDER, shedder_config},
    [THROTTLE] = {"throttle", WR_KIND_THROTTLE, throttle_config},
    [HEDGE] = {"hedge", WR_KIND_HEDGE, hedge_config},
    [FLAG] = {"flag", WR_KIND_FLAG, flag_config},
    [CHAOS] = {"experiment", WR_KIND_CHAOS, chaos_config},
    [CACHE] = {"cache", WR_KIND_CACHE, cache_config},
    {NULL, WR_KINDS, NULL},
};

// The floor: an uncontended mutex of the C library, and the arena's that survives its holder.

static void mutex_pure(void *state, uint64_t now_ns)
{
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  (void)state, (void)now_ns;
  pthread_mutex_lock(&mutex);
  pthread_mutex_unlock(&mutex);
}

static void mutex_guarded(struct bench_worker *me, struct wr_entry *entry)
{
  WR_CHECK(!wr_lock_take(me->registry.arena, &entry->lock));
  wr_lock_give(me->registry.arena, &entry->lock);
}

// Every kind that admits calls goes through the guard in the same way.

static void pass(struct bench_worker *me, struct wr_entry *entry, enum wr_outcome outcome)
{
  struct wr_guard_ask ask = {0};
  struct wr_error refusal;
  enum wr_guard_admission is_in =
      wr_guard_enter(&me->guard, entry, &ask, me->now_ns, &refusal);
  WR_CHECK(is_in == WR_GUARD_ADMITTED);
  wr_guard_leave(&me->guard, ask.id, outcome, me->now_ns);
}

static void pass_guarded(struct bench_worker *me, struct wr_entry *entry)
{
  pass(me, entry, WR_OUTCOME_SUCCESS);
}

static void breaker_pure(void *state, uint64_t now_ns)
{
  struct wr_ticket ticket;
  struct wr_breaker_refusal refusal;
  WR_CHECK(wr_breaker_try(state, now_ns, &ticket, &refusal));
  wr_breaker_settle(state, &ticket, WR_OUTCOME_SUCCESS, now_ns);
}

static void failing_pure(void *state, uint64_t now_ns)
{
  struct wr_ticket ticket;
  struct wr_breaker_refusal refusal;
  WR_CHECK(wr_breaker_try(state, now_ns, &ticket, &refusal));
  wr_breaker_settle(state, &ticket, WR_OUTCOME_FAILURE, now_ns);
}

static void failing_guarded(struct bench_worker *me, struct wr_entry *entry)
{
  pass(me, entry, WR_OUTCOME_FAILURE);
}

static void bulkhead_pure(void *state, uint64_t now_ns)
{
  WR_CHECK(wr_bulkhead_try(state, now_ns, NULL) == WR_BULKHEAD_ADMITTED);
  wr_bulkhead_release(state);
}

static void budget_pure(void *state, uint64_t now_ns)
{
  wr_budget_deposit(state, now_ns);
  wr_budget_withdraw(state, now_ns);
}

static void budget_guarded(struct bench_worker *me, struct wr_entry *entry)
{
  wr_guard_budget_deposit(&me->guard, entry, me->now_ns);
  wr_guard_budget_withdraw(&me->guard, entry, me->now_ns);
}

// A refusal costs what an admission does, should the clock be slower than the rate.
static void limiter_pure(void *state, uint64_t now_ns)
{
  uint64_t after_ns;
  wr_limiter_try(state, 0, 1, now_ns, &after_ns);
}

static void limiter_guarded(struct bench_worker *me, struct wr_entry *entry)
{
  struct wr_guard_ask ask = {0};
  struct wr_error refusal;
  wr_guard_limiter_try(&me->guard, entry, &ask, me->now_ns, &refusal);
}

// A thousand tenants in turn.
static uint64_t tenant_of(uint64_t now_ns)
{
  return (now_ns / 1000 % 1000 + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static void tenants_pure(void *state, uint64_t now_ns)
{
  uint64_t after_ns;
  wr_limiter_try(state, tenant_of(now_ns), 1, now_ns, &after_ns);
}

static void tenants_guarded(struct bench_worker *me, struct wr_entry *entry)
{
  struct wr_guard_ask ask = {.key = tenant_of(me->now_ns)};
  struct wr_error refusal;
  wr_guard_limiter_try(&me->guard, entry, &ask, me->now_ns, &refusal);
}

static void shedder_pure(void *state, uint64_t now_ns)
{
  struct wr_shedder_waiter waiter = {.priority = WR_PRIORITY_NORMAL};
  WR_CHECK(wr_shedder_try(state, &waiter, now_ns) == WR_SHEDDER_ADMITTED);
  wr_shedder_release(state, &waiter, WR_OUTCOME_SUCCESS, now_ns);
}

static void throttle_pure(void *state, uint64_t now_ns)
{
  WR_CHECK(wr_throttle_try(state, now_ns));
  wr_throttle_settle(state, WR_OUTCOME_SUCCESS, now_ns);
}

// A call that took a millisecond and was not hedged.
static void hedge_pure(void *state, uint64_t now_ns)
{
  wr_hedge_begin(state, now_ns);
  wr_hedge_end(state, WR_HEDGE_PRIMARY, WR_MS, now_ns);
}

static void hedge_guarded(struct bench_worker *me, struct wr_entry *entry)
{
  wr_guard_hedge_begin(&me->guard, entry, me->now_ns);
  wr_guard_hedge_end(&me->guard, entry, WR_HEDGE_PRIMARY, WR_MS, me->now_ns);
}

// Asked without a lock.
static void flag_pure(void *state, uint64_t now_ns)
{
  wr_flag_evaluate(state, (uint32_t)(now_ns % WR_FLAG_WHOLE), false);
}

static void flag_guarded(struct bench_worker *me, struct wr_entry *entry)
{
  flag_pure(entry->state, me->now_ns);
}

// An experiment that is not applied, as nearly all are.
static void chaos_pure(void *state, uint64_t now_ns)
{
  uint64_t latency_ns;
  WR_CHECK(!wr_chaos_draw(state, now_ns, now_ns, &latency_ns));
}

static void chaos_guarded(struct bench_worker *me, struct wr_entry *entry)
{
  uint64_t latency_ns;
  WR_CHECK(!wr_guard_chaos_draw(&me->guard, entry, me->now_ns, me->now_ns, &latency_ns));
}

// Of the 1 KiB values that bench_init stored.
static void cache_guarded(struct bench_worker *me, struct wr_entry *entry)
{
  char key[2] = {'k', (char)('a' + me->now_ns / 1000 % 16)};
  struct wr_cache_found found = {.value = &me->out};
  wr_buf_clear(&me->out);
  struct wr_cache_key at = {entry, {key, 2}, false};
  WR_CHECK(wr_cache_get(me->registry.arena, &at, me->now_ns, &found) == WR_CACHE_IS_FRESH);
}

const struct bench_operation bench_operations[] = {
    {"mutex lock + unlock", BREAKER, mutex_pure, mutex_guarded, true},
    {"breaker admit + report", BREAKER, breaker_pure, pass_guarded, true},
    {"breaker admit + report a failure", LENIENT, failing_pure, failing_guarded, false},
    {"bulkhead take + give", BULKHEAD, bulkhead_pure, pass_guarded, true},
    {"retry budget deposit + withdraw", BUDGET, budget_pure, budget_guarded, false},
    {"limiter try", LIMITER, limiter_pure, limiter_guarded, true},
    {"limiter try, 1000 keys", TENANTS, tenants_pure, tenants_guarded, false},
    {"shedder admit + report", SHEDDER, shedder_pure, pass_guarded, true},
    {"throttle admit + report", THROTTLE, throttle_pure, pass_guarded, false},
    {"hedge decision + report", HEDGE, hedge_pure, hedge_guarded, false},
    {"flag evaluation", FLAG, flag_pure, flag_guarded, true},
    {"experiment that rests", CHAOS, chaos_pure, chaos_guarded, false},
    {"cache get of 1 KiB", CACHE, NULL, cache_guarded, true},
    {NULL, 0, NULL, NULL, false},
};
