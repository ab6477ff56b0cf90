#pragma once
/// The generic cell rate algorithm: one number per key, the time at which its debt is paid.
///
/// A call of cost c owes c times `gap_ns`; a key may owe `slack_ns` and one gap, which is a burst
/// of so many calls. Over any span d at most burst + d / gap calls pass. Formulae and golden
/// vectors: research/resilience.md §2.7 (T is `gap_ns`, tau `slack_ns`, tat `owed_ns`).

#include <stdint.h>

struct wr_gcra {
  uint64_t gap_ns;   ///< what one call owes; never 0
  uint64_t slack_ns; ///< how much debt a call of cost 1 may find
};

/// `limit` calls in `period_ns`, `burst` of them at once. The gap is rounded up to a nanosecond, so
/// that never more pass than asked for.
struct wr_gcra wr_gcra_of(uint64_t period_ns, uint32_t limit, uint32_t burst);

/// The time at which a call of `cost` may pass, not before now; UINT64_MAX when its cost is above
/// the burst.
uint64_t wr_gcra_when(const struct wr_gcra *g, uint64_t owed_ns, uint32_t cost, uint64_t now_ns);

/// What is owed after a call of `cost` at `at_ns`, whether or not it might pass.
uint64_t wr_gcra_spend(const struct wr_gcra *g, uint64_t owed_ns, uint32_t cost, uint64_t at_ns);

/// Calls of cost 1 that may pass now.
uint32_t wr_gcra_left(const struct wr_gcra *g, uint64_t owed_ns, uint64_t now_ns);

/// The debt in calls, rounded up.
uint64_t wr_gcra_used(const struct wr_gcra *g, uint64_t owed_ns, uint64_t now_ns);

/// The same number of calls owed at another rate.
uint64_t wr_gcra_rescale(const struct wr_gcra *from, const struct wr_gcra *to, uint64_t owed_ns,
                         uint64_t now_ns);
