#pragma once
/// Peak-sensitive moving average of an endpoint's latency (Finagle's "peak EWMA"): jumps up at
/// once, decays with the time.
///
/// Fast failures are the trap: an endpoint that answers 503 in a millisecond would look best of
/// all. So a failure counts as WR_EWMA_PENALTY_NS at least. Pure; one owner.

#include <stdbool.h>
#include <stdint.h>

#define WR_EWMA_DECAY_NS (UINT64_C(10) * 1000000000) ///< time constant
#define WR_EWMA_PENALTY_NS (UINT64_C(500) * 1000000) ///< a failure took so long at least

struct wr_ewma {
  double ns;      ///< private: as of at_ns
  uint64_t at_ns; ///< private: of the newest sample; 0: none
};

/// An attempt took `latency_ns`, or at least that long when it failed.
void wr_ewma_add(struct wr_ewma *e, uint64_t now_ns, uint64_t latency_ns, bool is_failure);

/// An attempt was given up after `elapsed_ns`: counts only when it had taken longer than expected.
void wr_ewma_give_up(struct wr_ewma *e, uint64_t now_ns, uint64_t elapsed_ns);

/// What an attempt costs, in ns, decayed since the newest sample: who is not asked looks better
/// with the time and is tried again. 0 before the first sample.
double wr_ewma_cost(const struct wr_ewma *e, uint64_t now_ns);
