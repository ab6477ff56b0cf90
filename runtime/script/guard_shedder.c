// The shedder behind the guard: a row holds a waiter all the time, so that its end can tell the
// limit how long the call took.

#include "resilience/shedder.h"
#include "script/guard_kind.h"
#include "script/guard_row.h"

#include <stdatomic.h>

_Static_assert(sizeof(struct wr_shedder_waiter) <= WR_LEDGER_PAYLOAD, "a row holds a waiter");

static struct wr_shedder_waiter *waiter_of(struct wr_row *row)
{
  return (struct wr_shedder_waiter *)row->payload;
}

static uint32_t state_of(const struct wr_row *row)
{
  return atomic_load_explicit(&row->state, memory_order_relaxed);
}

static void init(void *state, const void *config, uint64_t seed, uint64_t now_ns)
{
  wr_shedder_init(state, config, seed, now_ns);
}

static void reconfigure(void *state, const void *config, uint64_t now_ns)
{
  (void)now_ns;
  wr_shedder_reconfigure(state, config);
}

static void repair(void *state, uint32_t live_normal, uint32_t live_probes, uint64_t now_ns)
{
  (void)live_probes;
  wr_shedder_repair(state, live_normal, now_ns);
}

static bool can_drop(void *state, uint64_t now_ns)
{
  (void)now_ns;
  const struct wr_shedder *s = state;
  return s->in_use == 0 && s->queued == 0;
}

static enum wr_guard_admission enter(struct wr_entry *entry, struct wr_row *row,
                                     struct wr_guard_ask *ask, uint64_t now_ns)
{
  struct wr_shedder *s = entry->state;
  struct wr_shedder_waiter *waiter = waiter_of(row);
  waiter->until_ns = ask->until_ns;
  waiter->priority = ask->priority;
  if (ask->signals) wr_shedder_feed(s, ask->signals, now_ns);
  enum wr_shedder_result result = wr_shedder_try(s, waiter, now_ns);
  if (result == WR_SHEDDER_ADMITTED) return WR_GUARD_ADMITTED;
  if (result == WR_SHEDDER_QUEUED) return WR_GUARD_QUEUED;
  ask->why = (struct wr_guard_why){
      .result = (uint8_t)result,
      .numbers = {s->in_use, wr_shedder_limit(s), s->queued, s->config.queue},
  };
  return WR_GUARD_REFUSED;
}

static void explain(const struct wr_entry *entry, const struct wr_guard_ask *ask,
                    struct wr_error *refusal)
{
  const uint64_t *n = ask->why.numbers;
  wr_error_set(refusal, WR_ERROR_SHED,
               "shedder '%s' refused (%s, priority %s): %u of %u in flight, %u of %u queued",
               entry->name, wr_shedder_result_name((enum wr_shedder_result)ask->why.result),
               wr_priority_name((enum wr_priority)ask->priority), (unsigned)n[0], (unsigned)n[1],
               (unsigned)n[2], (unsigned)n[3]);
}

static void answered(struct wr_row *row, uint64_t now_ns)
{
  waiter_of(row)->answered_ns = now_ns;
}

static void leave(struct wr_entry *entry, struct wr_row *row, enum wr_outcome outcome,
                  uint64_t now_ns)
{
  uint32_t state = state_of(row);
  if (state == WR_ROW_LIVE) wr_shedder_release(entry->state, waiter_of(row), outcome, now_ns);
  if (state == WR_ROW_WAITING) wr_shedder_leave(entry->state, waiter_of(row), now_ns);
}

static struct wr_row *grant(struct wr_entry *entry, uint64_t now_ns, bool *is_in)
{
  struct wr_shedder_waiter *waiter = wr_shedder_grant(entry->state, now_ns);
  if (waiter == NULL) return NULL;
  *is_in = waiter->result == WR_SHEDDER_ADMITTED;
  return WR_CONTAINER(waiter, struct wr_row, payload);
}

static uint64_t wait_until(const struct wr_row *row)
{
  return ((const struct wr_shedder_waiter *)row->payload)->until_ns;
}

static void recount(struct wr_registry *r, struct wr_entry *entry, uint64_t now_ns)
{
  uint32_t live = 0;
  uint64_t at = 0;
  struct wr_row *row;
  while ((row = wr_ledger_each(r->arena, wr_registry_ref(entry), &at, NULL))) {
    live += state_of(row) == WR_ROW_LIVE;
  }
  wr_shedder_repair(entry->state, live, now_ns);
  at = 0;
  while ((row = wr_ledger_each(r->arena, wr_registry_ref(entry), &at, NULL))) {
    if (state_of(row) == WR_ROW_WAITING) {
      wr_shedder_requeue(entry->state, waiter_of(row));
    } else {
      wr_guard_row_announce(r->arena, row);
    }
  }
}

static void archive(void *state, struct wr_archive *a)
{
  wr_shedder_archive(state, a);
}

const struct wr_guard_kind wr_guard_shedder = {
    .state = {.state_size = sizeof(struct wr_shedder),
              .config_size = sizeof(struct wr_shedder_config),
              .init = init,
              .reconfigure = reconfigure,
              .repair = repair,
              .archive = archive,
              .can_drop = can_drop},
    .why = "shed",
    .in_vain = WR_ERROR_SHED,
    .enter = enter,
    .explain = explain,
    .answered = answered,
    .leave = leave,
    .grant = grant,
    .wait_until = wait_until,
    .recount = recount,
};
