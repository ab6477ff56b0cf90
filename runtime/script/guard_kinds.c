// The kinds of named state: what the registry and what the guard must know of each.

#include "arena/slot.h"
#include "base/check.h"
#include "base/duration.h"
#include "script/guard_kind.h"
#include "script/guard_row.h"

#include <stdio.h>

const struct wr_kind_ops *const wr_guard_kinds[WR_KINDS] = {
    [WR_KIND_BREAKER] = &wr_guard_breaker.state, [WR_KIND_FLAG] = &wr_guard_flag.state,
    [WR_KIND_HEALTH] = &wr_guard_health.state,   [WR_KIND_BULKHEAD] = &wr_guard_bulkhead.state,
    [WR_KIND_BUDGET] = &wr_guard_budget,         [WR_KIND_THROTTLE] = &wr_guard_throttle.state,
    [WR_KIND_CHAOS] = &wr_guard_chaos.state,     [WR_KIND_CACHE] = &wr_guard_cache.state,
    [WR_KIND_SHEDDER] = &wr_guard_shedder.state, [WR_KIND_HEDGE] = &wr_guard_hedge,
    [WR_KIND_LIMITER] = &wr_guard_limiter.state, [WR_KIND_UPSTREAM] = &wr_guard_upstream.state,
    [WR_KIND_LEASE] = &wr_guard_lease.state,
};

// Those that admit calls, or that the clock moves.
static const struct wr_guard_kind *const guarded[WR_KINDS] = {
    [WR_KIND_BREAKER] = &wr_guard_breaker, [WR_KIND_FLAG] = &wr_guard_flag,
    [WR_KIND_HEALTH] = &wr_guard_health,   [WR_KIND_BULKHEAD] = &wr_guard_bulkhead,
    [WR_KIND_CHAOS] = &wr_guard_chaos,     [WR_KIND_THROTTLE] = &wr_guard_throttle,
    [WR_KIND_SHEDDER] = &wr_guard_shedder, [WR_KIND_CACHE] = &wr_guard_cache,
    [WR_KIND_LIMITER] = &wr_guard_limiter, [WR_KIND_UPSTREAM] = &wr_guard_upstream,
    [WR_KIND_LEASE] = &wr_guard_lease,
};

const struct wr_guard_kind *wr_guard_kind_of(const struct wr_entry *entry)
{
  return guarded[entry->kind];
}

bool wr_guard_holds(const struct wr_entry *entry)
{
  return !wr_guard_kind_of(entry)->holds_nothing;
}

const char *wr_guard_why(const struct wr_entry *entry)
{
  const struct wr_guard_kind *kind = wr_guard_kind_of(entry);
  return kind ? kind->why : "";
}

void wr_guard_explain_wait(const struct wr_entry *entry, struct wr_error *refusal)
{
  wr_error_set(refusal, wr_guard_kind_of(entry)->in_vain,
               "%s '%s': no slot within its wait limit, or its place in the queue was taken",
               wr_registry_kind_name(entry->kind), entry->name);
}

void wr_guard_refuse_after(struct wr_error *refusal, uint64_t after_ns)
{
  size_t len = strlen(refusal->message);
  refusal->after_ns = after_ns;
  if (after_ns == 0) return;
  snprintf(refusal->message + len, sizeof(refusal->message) - len, ", ask again in %.3f s",
           (double)after_ns / (double)WR_SECOND);
}

// Repair: the ledger's rows are the truth, and whoever holds the entry's lock can count them.
static void repair_entry(struct wr_registry *r, struct wr_entry *entry, uint64_t now_ns)
{
  const struct wr_guard_kind *kind = wr_guard_kind_of(entry);
  if (kind && kind->recount) {
    kind->recount(r, entry, now_ns);
  } else {
    WR_CHECK(entry->kind < WR_KINDS && wr_guard_kinds[entry->kind]);
    wr_guard_kinds[entry->kind]->repair(entry->state, 0, 0, now_ns);
  }
}

// A larger bulkhead has room for waiters; what a breaker has to tell, the master will.
static void entry_changed(struct wr_registry *r, struct wr_entry *entry, uint64_t now_ns)
{
  const struct wr_guard_kind *kind = wr_guard_kind_of(entry);
  if (kind == NULL) return;
  if (kind->grant) {
    struct wr_guard_bells bells = {0};
    wr_guard_row_grant(r->arena, entry, now_ns, &bells);
    wr_guard_row_ring(r->arena, &bells);
  }
  if (kind->next_ns && wr_registry_plan(r, entry, now_ns)) {
    wr_slot_ring(r->arena, wr_slot_master(r->arena));
  }
}

// A size that differs is a layout that differs, whether somebody remembered to say so or not.
uint64_t wr_guard_stamp(void)
{
  uint64_t stamp = WR_KINDS;
  for (int kind = 0; kind < WR_KINDS; kind++) {
    const struct wr_kind_ops *ops = wr_guard_kinds[kind];
    uint64_t sizes[2] = {ops->state_size, ops->config_size};
    stamp = wr_hash_fnv(stamp, (struct wr_str){(const char *)sizes, sizeof(sizes)});
  }
  return stamp;
}

void wr_guard_registry(struct wr_registry *r, struct wr_arena *a)
{
  *r = (struct wr_registry){
      .arena = a,
      .kinds = wr_guard_kinds,
      .repair = repair_entry,
      .changed = entry_changed,
  };
}
