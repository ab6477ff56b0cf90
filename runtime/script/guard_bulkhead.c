// The bulkhead behind the guard: a row holds a waiter, a live one is a slot in use.

#include "resilience/bulkhead.h"
#include "script/guard_kind.h"
#include "script/guard_row.h"

#include <stdatomic.h>

_Static_assert(sizeof(struct wr_bulkhead_waiter) <= WR_LEDGER_PAYLOAD, "a row holds a waiter");

static struct wr_bulkhead_waiter *waiter_of(struct wr_row *row)
{
  return (struct wr_bulkhead_waiter *)row->payload;
}

static uint32_t state_of(const struct wr_row *row)
{
  return atomic_load_explicit(&row->state, memory_order_relaxed);
}

static void init(void *state, const void *config, uint64_t seed, uint64_t now_ns)
{
  (void)seed;
  wr_bulkhead_init(state, config, now_ns);
}

static void reconfigure(void *state, const void *config, uint64_t now_ns)
{
  (void)now_ns;
  wr_bulkhead_reconfigure(state, config);
}

static void repair(void *state, uint32_t live_normal, uint32_t live_probes, uint64_t now_ns)
{
  (void)live_probes;
  wr_bulkhead_repair(state, live_normal, now_ns);
}

static size_t state_bytes(const void *config)
{
  return wr_bulkhead_bytes(config);
}

static void move(void *to, const void *from, const void *config, uint64_t now_ns)
{
  wr_bulkhead_move(to, from, config, now_ns);
}

static bool can_drop(void *state, uint64_t now_ns)
{
  (void)now_ns;
  const struct wr_bulkhead *b = state;
  return b->in_use == 0 && b->queued == 0;
}

static enum wr_guard_admission enter(struct wr_entry *entry, struct wr_row *row,
                                     struct wr_guard_ask *ask, uint64_t now_ns)
{
  struct wr_bulkhead *b = entry->state;
  struct wr_bulkhead_waiter *waiter = waiter_of(row);
  waiter->until_ns = ask->until_ns;
  enum wr_bulkhead_result result = wr_bulkhead_try_key(b, now_ns, ask->key, waiter);
  if (result == WR_BULKHEAD_ADMITTED) return WR_GUARD_ADMITTED;
  if (result == WR_BULKHEAD_QUEUED) return WR_GUARD_QUEUED;
  const struct wr_bulkhead_room *room = wr_bulkhead_room_of(b, waiter);
  ask->why = (struct wr_guard_why){
      .result = (uint8_t)result,
      .numbers = {room->in_use, b->config.max, room->queued, b->config.queue},
  };
  return WR_GUARD_REFUSED;
}

static void explain(const struct wr_entry *entry, const struct wr_guard_ask *ask,
                    struct wr_error *refusal)
{
  const uint64_t *n = ask->why.numbers;
  wr_error_set(refusal, WR_ERROR_REFUSED,
               "bulkhead '%s' refused (%s): %u of %u in flight, %u of %u queued", entry->name,
               wr_bulkhead_result_name((enum wr_bulkhead_result)ask->why.result), (unsigned)n[0],
               (unsigned)n[1], (unsigned)n[2], (unsigned)n[3]);
}

static void leave(struct wr_entry *entry, struct wr_row *row, enum wr_outcome outcome,
                  uint64_t now_ns)
{
  (void)outcome;
  uint32_t state = state_of(row);
  if (state == WR_ROW_LIVE) wr_bulkhead_release_of(entry->state, waiter_of(row));
  if (state == WR_ROW_WAITING) wr_bulkhead_leave(entry->state, waiter_of(row), now_ns);
}

static struct wr_row *grant(struct wr_entry *entry, uint64_t now_ns, bool *is_in)
{
  struct wr_bulkhead_waiter *waiter = wr_bulkhead_grant(entry->state, now_ns);
  if (waiter == NULL) return NULL;
  *is_in = waiter->result == WR_BULKHEAD_ADMITTED;
  return WR_CONTAINER(waiter, struct wr_row, payload);
}

static uint64_t wait_until(const struct wr_row *row)
{
  return ((const struct wr_bulkhead_waiter *)row->payload)->until_ns;
}

static void recount(struct wr_registry *r, struct wr_entry *entry, uint64_t now_ns)
{
  struct wr_bulkhead *b = entry->state;
  uint64_t at = 0;
  struct wr_row *row;
  memcpy(&b->config, entry->config, sizeof(b->config)); // never torn, and it tells the size
  wr_bulkhead_repair(b, 0, now_ns);
  while ((row = wr_ledger_each(r->arena, wr_registry_ref(entry), &at, NULL))) {
    if (state_of(row) == WR_ROW_LIVE) wr_bulkhead_recount(b, waiter_of(row));
    if (state_of(row) == WR_ROW_WAITING) {
      waiter_of(row)->result = WR_BULKHEAD_QUEUED;
      wr_bulkhead_requeue(entry->state, waiter_of(row));
    } else {
      wr_guard_row_announce(r->arena, row);
    }
  }
}

const struct wr_guard_kind wr_guard_bulkhead = {
    .state = {.state_size = sizeof(struct wr_bulkhead),
              .config_size = sizeof(struct wr_bulkhead_config),
              .init = init,
              .reconfigure = reconfigure,
              .repair = repair,
              .state_bytes = state_bytes,
              .move = move,
              .can_drop = can_drop},
    .why = "bulkhead_full",
    .in_vain = WR_ERROR_REFUSED,
    .enter = enter,
    .explain = explain,
    .leave = leave,
    .grant = grant,
    .wait_until = wait_until,
    .recount = recount,
};
