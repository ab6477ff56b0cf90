#pragma once
/// The probes of one half-open episode: each holds a lease, and a probe that outlives its lease has
/// failed. Hence half-open cannot hang on a call that never ends (research/resilience.md §4.1).
///
/// Verdicts plus running probes never exceed the episode's maximum, so a probe is replaced only
/// when it was released without a verdict.

#include <stdbool.h>
#include <stdint.h>

enum { WR_PROBES_MAX = 16 };

struct wr_probes {
  uint16_t last_lease; // private: lease numbers given in this episode, 1..65535, then 1 again
  uint16_t live;       ///< read-only: probes running under a lease
  uint16_t succeeded;  ///< read-only: verdicts
  uint16_t failed;     ///< read-only: verdicts, lapsed leases included
  uint16_t slow;       ///< read-only: verdicts that were slow, whether they succeeded or not
  uint16_t asked;      ///< read-only: probes admitted in this episode, capped at 65535
  uint16_t lease[WR_PROBES_MAX];    // private: 0 is a free place
  uint64_t until_ns[WR_PROBES_MAX]; // private
};

/// Begins an episode: none running, no verdicts.
void wr_probes_reset(struct wr_probes *p);

/// Admits a probe until `until_ns`; returns its lease, or 0 when `max` are running or decided.
uint16_t wr_probes_take(struct wr_probes *p, uint32_t max, uint64_t until_ns);

/// Ends a lease without a verdict. False when there is no such lease (it lapsed).
bool wr_probes_release(struct wr_probes *p, uint16_t lease);

/// Ends a lease with a verdict. False when there is no such lease (it lapsed).
bool wr_probes_settle(struct wr_probes *p, uint16_t lease, bool failed, bool slow);

/// What the verdicts say about the upstream.
enum wr_probes_answer {
  WR_PROBES_OPEN_QUESTION,
  WR_PROBES_SUCCEEDED,
  WR_PROBES_FAILED,
  WR_PROBES_SLOW
};

/// Answers as soon as the verdicts that are missing to `of` cannot change the answer; `of` 0 asks
/// for an answer from those there are. The rates are the breaker's: at or above is bad, 0 is off,
/// but without a failure rate a single failed probe is bad.
enum wr_probes_answer wr_probes_decide(const struct wr_probes *p, uint32_t of, double failure_rate,
                                       double slow_rate);

/// When the next lease lapses; UINT64_MAX when none runs.
uint64_t wr_probes_next_ns(const struct wr_probes *p);

/// Lapses the lease that ends first, if it has by `now_ns`: one more failed verdict.
bool wr_probes_lapse(struct wr_probes *p, uint64_t now_ns);

/// Makes it valid whatever its bytes are: leases past `until_max_ns` are cut to it.
void wr_probes_repair(struct wr_probes *p, uint64_t until_max_ns);
