#pragma once
/// The kinds of primitives that a stress run tries: one file and one row for each. A kind of
/// tables/kinds.def without a row fails spec/stress. Included by stress.h alone.

#include "stress_limiter.h"

#include "stress_breaker.h"
#include "stress_budget.h"
#include "stress_bulkhead.h"
#include "stress_cache.h"
#include "stress_chaos.h"
#include "stress_flag.h"
#include "stress_health.h"
#include "stress_hedge.h"
#include "stress_lease.h"
#include "stress_shedder.h"
#include "stress_throttle.h"
#include "stress_upstream.h"

static const struct stress_kind *const stress_kinds[WR_KINDS] = {
    [WR_KIND_BREAKER] = &stress_breaker,   [WR_KIND_BULKHEAD] = &stress_bulkhead,
    [WR_KIND_BUDGET] = &stress_budget,     [WR_KIND_SHEDDER] = &stress_shedder,
    [WR_KIND_THROTTLE] = &stress_throttle, [WR_KIND_CHAOS] = &stress_chaos,
    [WR_KIND_CACHE] = &stress_cache,       [WR_KIND_FLAG] = &stress_flag,
    [WR_KIND_HEALTH] = &stress_health,     [WR_KIND_HEDGE] = &stress_hedge,
    [WR_KIND_LIMITER] = &stress_limiter,   [WR_KIND_UPSTREAM] = &stress_upstream,
    [WR_KIND_LEASE] = &stress_lease,
};
