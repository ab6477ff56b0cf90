#pragma once
/// Asking a hedge through the guard; see resilience/hedge.h. An entry that is gone hedges nothing.

#include "resilience/hedge.h"
#include "script/guard.h"

/// A call makes its first attempt: after how long it should be hedged, or WR_HEDGE_NEVER.
uint64_t wr_guard_hedge_begin(struct wr_guard *g, struct wr_entry *entry, uint64_t now_ns);

/// Pays for a hedge, of the retry budget `budget` (NULL: none) and of the hedge's own bound.
bool wr_guard_hedge_pay(struct wr_guard *g, struct wr_entry *entry, struct wr_entry *budget,
                        bool is_slow, uint64_t now_ns);

/// Counts a call that is not hedged because that could do harm.
void wr_guard_hedge_unsafe(struct wr_guard *g, struct wr_entry *entry, uint64_t now_ns);

/// A call ended; see wr_hedge_end.
void wr_guard_hedge_end(struct wr_guard *g, struct wr_entry *entry, enum wr_hedge_end end,
                        uint64_t took_ns, uint64_t now_ns);
