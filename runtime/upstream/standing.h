#pragma once
/// How an endpoint has done of late, for people: its mean latency and the last thing that went
/// wrong.
///
/// The mean is of all workers' calls that succeeded, each weighing less the older it is; nothing is
/// decided by it (the balance has `upstream/ewma.h`, the judges of outliers have windows). Part of
/// a roster's member, so it may live in shared memory; the caller holds the lock. Pure.

#include "base/error.h"

#define WR_STANDING_DECAY_NS (UINT64_C(10) * 1000000000) ///< time constant

/// A failure, as whoever met it tells of it.
struct wr_standing_failure {
  uint16_t status; ///< of the answer; 0: there was none
  uint8_t error;   ///< without an answer: enum wr_error_kind
  bool is_check;   ///< a health check met it, no call
};

/// Zeroed memory: nothing is known.
struct wr_standing {
  double sum_ns;                   // private: latencies, as of at_ns
  double calls;                    // private: how many they are, as of at_ns
  uint64_t at_ns;                  // private
  uint64_t failed_ns;              ///< read-only: when it last failed; 0: never
  struct wr_standing_failure last; ///< read-only: how
};

/// `calls` calls succeeded, in `sum_ns` together.
void wr_standing_add(struct wr_standing *s, uint32_t calls, uint64_t sum_ns, uint64_t now_ns);

/// One failed.
void wr_standing_fail(struct wr_standing *s, const struct wr_standing_failure *failure,
                      uint64_t now_ns);

/// The mean latency in ns; NAN when nothing has succeeded yet.
double wr_standing_latency(const struct wr_standing *s);

/// Makes any bytes valid.
void wr_standing_repair(struct wr_standing *s, uint64_t now_ns);
