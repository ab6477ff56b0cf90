// The feature flag behind the guard: nothing is held, so there is no row.

#include "arena/slot.h"
#include "base/check.h"
#include "script/guard_kind.h"

static void init(void *state, const void *config, uint64_t seed, uint64_t now_ns)
{
  (void)seed;
  wr_flag_init(state, config, now_ns);
}

static void reconfigure(void *state, const void *config, uint64_t now_ns)
{
  wr_flag_reconfigure(state, config, now_ns);
}

static void repair(void *state, uint32_t live_normal, uint32_t live_probes, uint64_t now_ns)
{
  (void)live_normal, (void)live_probes;
  wr_flag_repair(state, now_ns);
}

// What an operator said is known nowhere else.
static bool can_drop(void *state, uint64_t now_ns)
{
  (void)now_ns;
  return !((const struct wr_flag *)state)->is_overridden;
}

static bool take_event(struct wr_entry *entry, union wr_guard_event *out)
{
  return wr_flag_take_event(entry->state, &out->flag);
}

// Never by itself; but a change asks for the master, who tells of it.
static uint64_t next_ns(const struct wr_entry *entry)
{
  (void)entry;
  return UINT64_MAX;
}

static void archive(void *state, struct wr_archive *a)
{
  wr_flag_archive(state, a);
}

const struct wr_guard_kind wr_guard_flag = {
    .state = {.state_size = sizeof(struct wr_flag),
              .config_size = sizeof(struct wr_flag_config),
              .init = init,
              .reconfigure = reconfigure,
              .repair = repair,
              .archive = archive,
              .can_drop = can_drop},
    .why = "",
    .next_ns = next_ns,
    .take_event = take_event,
};

bool wr_guard_flag_order(struct wr_registry *r, struct wr_entry *entry,
                         const struct wr_guard_flag_order *order, uint64_t now_ns)
{
  WR_CHECK(entry->kind == WR_KIND_FLAG);
  if (!wr_registry_lock(r, entry, wr_registry_ref(entry).generation, now_ns)) return false;
  if (order->is_reset) {
    wr_flag_reset(entry->state, order->why, now_ns);
  } else {
    wr_flag_set(entry->state, order->share, order->actor, order->why, now_ns);
  }
  bool is_planned = wr_registry_plan(r, entry, now_ns);
  wr_registry_unlock(r, entry);
  if (is_planned) wr_slot_ring(r->arena, wr_slot_master(r->arena));
  return true;
}
