// When the master looks at the entries next.

#include "arena/registry_internal.h"

#include <stdatomic.h>

static _Atomic uint64_t *plan_of(const struct wr_registry *r)
{
  return &r->arena->header->registry->plan_ns;
}

static bool lower(_Atomic uint64_t *plan, uint64_t at_ns)
{
  uint64_t seen = atomic_load(plan);
  while (at_ns < seen) {
    if (atomic_compare_exchange_weak(plan, &seen, at_ns)) return true;
  }
  return false;
}

bool wr_registry_plan(struct wr_registry *r, struct wr_entry *entry, uint64_t next_ns)
{
  if (atomic_load_explicit(&entry->next_ns, memory_order_relaxed) == next_ns) return false;
  // Sequentially consistent with wr_registry_plan_begin: either the master sees this time when it
  // looks at the entry, or this sees that its plan was forgotten and rings.
  atomic_store(&entry->next_ns, next_ns);
  return lower(plan_of(r), next_ns);
}

void wr_registry_plan_begin(struct wr_registry *r)
{
  atomic_store(plan_of(r), UINT64_MAX);
}

uint64_t wr_registry_plan_end(struct wr_registry *r, uint64_t next_ns)
{
  _Atomic uint64_t *plan = plan_of(r);
  lower(plan, next_ns);
  return atomic_load(plan);
}
