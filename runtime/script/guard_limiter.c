// The limiter behind the guard: a row is a place in the queue. What passed holds nothing.

#include "arena/slot.h"
#include "base/check.h"
#include "script/guard_kind.h"
#include "script/guard_row.h"
#include "script/guard_shadow.h"

#include <stdatomic.h>
#include <stdio.h>

enum { KEY_TEXT = 32 };

_Static_assert(sizeof(struct wr_limiter_waiter) <= WR_LEDGER_PAYLOAD, "a row holds a waiter");

static struct wr_limiter_waiter *waiter_of(struct wr_row *row)
{
  return (struct wr_limiter_waiter *)row->payload;
}

static bool is_waiting(const struct wr_row *row)
{
  return atomic_load_explicit(&row->state, memory_order_relaxed) == WR_ROW_WAITING;
}

static void init(void *state, const void *config, uint64_t seed, uint64_t now_ns)
{
  (void)seed, (void)now_ns;
  wr_limiter_init(state, config);
}

static void reconfigure(void *state, const void *config, uint64_t now_ns)
{
  wr_limiter_reconfigure(state, config, now_ns);
}

static size_t state_bytes(const void *config)
{
  return wr_limiter_bytes(config);
}

static void move(void *to, const void *from, const void *config, uint64_t now_ns)
{
  wr_limiter_move(to, from, config, now_ns);
}

static bool can_drop(void *state, uint64_t now_ns)
{
  return wr_limiter_is_idle(state, now_ns);
}

static enum wr_guard_admission enter(struct wr_entry *entry, struct wr_row *row,
                                     struct wr_guard_ask *ask, uint64_t now_ns)
{
  struct wr_limiter_waiter *waiter = waiter_of(row);
  uint64_t after_ns;
  wr_limiter_waiter_init(waiter, ask->key, ask->cost, ask->until_ns);
  enum wr_limiter_result result = wr_limiter_wait(entry->state, waiter, now_ns, &after_ns);
  ask->why = (struct wr_guard_why){.result = (uint8_t)result, .after_ns = after_ns};
  if (result == WR_LIMITER_ADMITTED) return WR_GUARD_ADMITTED;
  return result == WR_LIMITER_QUEUED ? WR_GUARD_QUEUED : WR_GUARD_REFUSED;
}

// " to key 00f1…": by the hash that the status page lists those refused most by.
static void name_key(uint64_t key, char out[KEY_TEXT])
{
  out[0] = '\0';
  if (key) snprintf(out, KEY_TEXT, " to key %016llx", (unsigned long long)key);
}

static void explain(const struct wr_entry *entry, const struct wr_guard_ask *ask,
                    struct wr_error *refusal)
{
  char key[KEY_TEXT];
  enum wr_limiter_result result = (enum wr_limiter_result)ask->why.result;
  const char *why = wr_limiter_result_name(result);
  if (result == WR_LIMITER_TOO_COSTLY) {
    wr_error_set(refusal, WR_ERROR_LIMITED,
                 "limiter '%s' refused (%s): the call costs %u, more than ever passes at once",
                 entry->name, why, (unsigned)ask->cost);
    return;
  }
  name_key(ask->key, key);
  wr_error_set(refusal, WR_ERROR_LIMITED, "limiter '%s' refused (%s)%s", entry->name, why, key);
  wr_guard_refuse_after(refusal, ask->why.after_ns);
}

static uint64_t after(const struct wr_entry *entry, const struct wr_guard_ask *ask, uint64_t now_ns)
{
  return wr_limiter_after(entry->state, ask->key, ask->cost, now_ns);
}

static void leave(struct wr_entry *entry, struct wr_row *row, enum wr_outcome outcome,
                  uint64_t now_ns)
{
  (void)outcome;
  if (is_waiting(row)) wr_limiter_leave(entry->state, waiter_of(row), now_ns);
}

static struct wr_row *grant(struct wr_entry *entry, uint64_t now_ns, bool *is_in)
{
  struct wr_limiter_waiter *waiter = wr_limiter_grant(entry->state, now_ns, is_in);
  return waiter ? WR_CONTAINER(waiter, struct wr_row, payload) : NULL;
}

static uint64_t wait_until(const struct wr_row *row)
{
  return wr_limiter_until_ns((const struct wr_limiter_waiter *)row->payload);
}

static uint64_t next_ns(const struct wr_entry *entry)
{
  return wr_limiter_next_ns(entry->state);
}

static void recount(struct wr_registry *r, struct wr_entry *entry, uint64_t now_ns)
{
  uint64_t at = 0;
  struct wr_row *row;
  wr_limiter_repair(entry->state, entry->config, now_ns);
  while ((row = wr_ledger_each(r->arena, wr_registry_ref(entry), &at, NULL))) {
    if (is_waiting(row)) {
      wr_limiter_requeue(entry->state, waiter_of(row));
    } else {
      wr_guard_row_announce(r->arena, row);
    }
  }
}

static void archive(void *state, struct wr_archive *a)
{
  wr_limiter_archive(state, a);
}

const struct wr_guard_kind wr_guard_limiter = {
    .state = {.state_size = sizeof(struct wr_limiter),
              .config_size = sizeof(struct wr_limiter_config),
              .init = init,
              .reconfigure = reconfigure,
              .state_bytes = state_bytes,
              .move = move,
              .archive = archive,
              .can_drop = can_drop},
    .why = "rate_limited",
    .in_vain = WR_ERROR_LIMITED,
    .holds_nothing = true,
    .enter = enter,
    .explain = explain,
    .after = after,
    .leave = leave,
    .grant = grant,
    .wait_until = wait_until,
    .recount = recount,
    .next_ns = next_ns,
};

// Without a row

static bool lock(struct wr_registry *r, struct wr_entry *entry, uint64_t now_ns)
{
  WR_CHECK(entry->kind == WR_KIND_LIMITER);
  return wr_registry_lock(r, entry, wr_registry_ref(entry).generation, now_ns);
}

bool wr_guard_limiter_try(struct wr_guard *g, struct wr_entry *entry, struct wr_guard_ask *ask,
                          uint64_t now_ns, struct wr_error *refusal)
{
  if (!lock(g->registry, entry, now_ns)) {
    wr_error_set(refusal, WR_ERROR_CLOSED, "limiter '%s' is gone", entry->name);
    return false;
  }
  uint64_t after_ns;
  ask->why.result = (uint8_t)wr_limiter_try(entry->state, ask->key, ask->cost, now_ns, &after_ns);
  ask->why.after_ns = after_ns;
  wr_registry_unlock(g->registry, entry);
  bool is_in = ask->why.result == WR_LIMITER_ADMITTED;
  if (g->shadow) {
    enum wr_guard_admission result = is_in ? WR_GUARD_ADMITTED : WR_GUARD_REFUSED;
    wr_guard_shadow_entered(g->shadow, entry, ask, result, now_ns);
  }
  if (is_in) return true;
  explain(entry, ask, refusal);
  return false;
}

void wr_guard_limiter_drain(struct wr_registry *r, struct wr_entry *entry, uint64_t key,
                            uint64_t until_ns, uint64_t now_ns)
{
  if (!lock(r, entry, now_ns)) return;
  wr_limiter_drain(entry->state, key, until_ns, now_ns);
  bool is_planned = wr_registry_plan(r, entry, wr_limiter_next_ns(entry->state));
  wr_registry_unlock(r, entry);
  if (is_planned) wr_slot_ring(r->arena, wr_slot_master(r->arena));
}

bool wr_guard_limiter_look(struct wr_registry *r, struct wr_entry *entry, uint64_t key,
                           uint64_t now_ns, struct wr_limiter_look *out)
{
  if (!lock(r, entry, now_ns)) return false;
  wr_limiter_look(entry->state, key, now_ns, out);
  wr_registry_unlock(r, entry);
  return true;
}
