#pragma once
/// What is asked of the reload coordinator, one order at a time: who asked while another was under
/// way waits here. Plain data of the master.

#include "admin/admin.h"
#include "base/list.h"
#include "policy/canary.h"

enum wr_order_kind {
  WR_ORDER_LOAD,    ///< the files, as they are on disk then
  WR_ORDER_USE,     ///< a generation that was live before
  WR_ORDER_RESTORE, ///< the newest good one, if the live one is quarantined by then
};

/// How a generation is on probation before it is live.
struct wr_probation_plan {
  struct wr_canary_plan canary; ///< share 0: it is not a canary
  bool is_shadow;               ///< it decides without effect, and does not go live
  uint64_t for_ns;
};

struct wr_order {
  struct wr_list link;
  enum wr_order_kind kind;
  uint64_t number; ///< USE: which generation; 0: the newest past one that is good
  bool is_forced;  ///< a quarantine of the bundle is lifted
  struct wr_probation_plan probation; ///< LOAD: as a canary first
  struct wr_list callers;             // who waits for the verdict
};

/// Asks for something, at the end of `orders`. Loads that wait already are the same order: one load
/// serves all who asked. The list owns it.
struct wr_order *wr_orders_add(struct wr_list *orders, enum wr_order_kind kind);

/// One of that kind that waits already; NULL: none does.
struct wr_order *wr_orders_find(const struct wr_list *orders, enum wr_order_kind kind);

/// The first of `orders`, to be freed by wr_order_free; NULL: there is none.
struct wr_order *wr_orders_take(struct wr_list *orders);

/// `waiter` (may be NULL) waits for the verdict.
void wr_order_wait(struct wr_order *o, struct wr_admin_waiter *waiter);

/// The verdict for all who wait.
void wr_order_answer(struct wr_order *o, bool ok, struct wr_str json);

/// Frees an order that nobody waits for any more; NULL is fine.
void wr_order_free(struct wr_order *o);
