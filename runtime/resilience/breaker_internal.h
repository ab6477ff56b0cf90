#pragma once
/// What the files of the breaker share with one another; for no one else.

#include "resilience/breaker.h"

enum { WR_BREAKER_TRIPS_MAX = 64 }; // the open time has reached any maximum long before

struct wr_breaker_evidence {
  struct wr_window_sum sum;
  uint32_t overdue;
  double failure_rate;
  double slow_rate;
};

/// `part / whole`; 0 of nothing.
double wr_breaker_ratio(uint64_t part, uint64_t whole);

/// What the window and the calls in flight say at `now_ns`.
struct wr_breaker_evidence wr_breaker_gather(struct wr_breaker *b, uint64_t now_ns);

/// The rule that the evidence breaks, or WR_BREAKER_CAUSES.
enum wr_breaker_cause wr_breaker_judge(struct wr_breaker *b, uint64_t now_ns);

/// The only way from one state to another. Tickets of the old generation become stale.
void wr_breaker_transition(struct wr_breaker *b, enum wr_breaker_state to,
                           enum wr_breaker_cause cause, uint64_t at_ns);

/// Appends an event with the evidence of the present state.
void wr_breaker_record(struct wr_breaker *b, enum wr_breaker_state to, enum wr_breaker_cause cause,
                       uint64_t at_ns);

/// Half-open: acts on the verdicts, if `of` of them are enough to know. False when they are not.
bool wr_breaker_decide(struct wr_breaker *b, uint32_t of, uint64_t at_ns);

/// Moves to the state that the mode in force demands.
void wr_breaker_follow_mode(struct wr_breaker *b, uint64_t now_ns);

/// The admitted share of calls; in a ramp it grows in a straight line from `ramp_from` to 1.
double wr_breaker_share(const struct wr_breaker *b, uint64_t now_ns);
