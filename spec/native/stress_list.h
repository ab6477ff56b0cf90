#pragma once
/// A queue in shared memory: whole, and as long as the ledger says.

#include "base/check.h"
#include "base/list.h"

static inline void stress_list_check(const struct wr_list *head, uint32_t waiting)
{
  uint32_t linked = 0;
  for (const struct wr_list *l = head->next; l != head; l = l->next) {
    WR_CHECK(l->next->prev == l && ++linked <= waiting);
  }
  WR_CHECK(linked == waiting);
}
