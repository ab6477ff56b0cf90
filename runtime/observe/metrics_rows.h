#pragma once
/// What a gauge or counter that is read from a primitive is made of. For metrics_*.c.

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

/// What is read from a primitive: a copy, taken under its lock.
union wr_metrics_state {
  struct wr_breaker breaker;
  struct wr_flag flag;
  struct wr_health health;
  struct wr_bulkhead bulkhead;
  struct wr_budget budget;
  struct wr_cache_state cache;
  struct wr_shedder shedder;
  struct wr_throttle throttle;
  struct wr_limiter limiter;
  struct wr_lease lease;
  struct wr_hedge hedge;
  struct wr_chaos chaos;
};

/// One value of one primitive.
struct wr_metrics_row {
  const char *label; ///< its second label's value, NULL without one
  double value;
};

/// The series of bulkheads, limiters and leases. `part` numbers the series of a family; false past
/// its last.
bool wr_metrics_rows_bulkhead_available(union wr_metrics_state *s, uint64_t now_ns, int part,
                                        struct wr_metrics_row *out);
bool wr_metrics_rows_bulkhead_max(union wr_metrics_state *s, uint64_t now_ns, int part,
                                  struct wr_metrics_row *out);
bool wr_metrics_rows_bulkhead_queue(union wr_metrics_state *s, uint64_t now_ns, int part,
                                    struct wr_metrics_row *out);
bool wr_metrics_rows_bulkhead_keys(union wr_metrics_state *s, uint64_t now_ns, int part,
                                   struct wr_metrics_row *out);
bool wr_metrics_rows_bulkhead_shared(union wr_metrics_state *s, uint64_t now_ns, int part,
                                     struct wr_metrics_row *out);
bool wr_metrics_rows_bulkhead_calls(union wr_metrics_state *s, uint64_t now_ns, int part,
                                    struct wr_metrics_row *out);
bool wr_metrics_rows_limiter_calls(union wr_metrics_state *s, uint64_t now_ns, int part,
                                   struct wr_metrics_row *out);
bool wr_metrics_rows_limiter_waiting(union wr_metrics_state *s, uint64_t now_ns, int part,
                                     struct wr_metrics_row *out);
bool wr_metrics_rows_limiter_available(union wr_metrics_state *s, uint64_t now_ns, int part,
                                       struct wr_metrics_row *out);
bool wr_metrics_rows_limiter_keys(union wr_metrics_state *s, uint64_t now_ns, int part,
                                  struct wr_metrics_row *out);
bool wr_metrics_rows_limiter_shared(union wr_metrics_state *s, uint64_t now_ns, int part,
                                    struct wr_metrics_row *out);
bool wr_metrics_rows_lease_held(union wr_metrics_state *s, uint64_t now_ns, int part,
                                struct wr_metrics_row *out);
bool wr_metrics_rows_lease_overdue(union wr_metrics_state *s, uint64_t now_ns, int part,
                                   struct wr_metrics_row *out);
bool wr_metrics_rows_lease_runs(union wr_metrics_state *s, uint64_t now_ns, int part,
                                struct wr_metrics_row *out);
