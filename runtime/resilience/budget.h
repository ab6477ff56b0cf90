#pragma once
/// Retry budget: extra attempts (retries, hedges) may be a share of the calls of the last span,
/// plus a few, per upstream. It keeps a retry storm from multiplying an outage
/// (research/resilience.md §2.4).
///
/// Over the span, withdrawals never exceed `ratio` x deposits + `min`. Only first attempts deposit;
/// a retry withdraws before it sleeps. Pure; the caller holds the lock. Nothing is ever given back,
/// so a crash cannot leak.

#include "resilience/rolling.h"

#include <stdbool.h>
#include <stdint.h>

struct wr_budget_config {
  double ratio;     ///< extra attempts per call, 0 to 10
  uint32_t min;     ///< extra attempts per span that need no calls
  uint64_t span_ns; ///< 1 ms to 10 years
};

struct wr_budget {
  struct wr_budget_config config; // read-only: change it by wr_budget_reconfigure
  struct wr_rolling rolling;      // private
  uint64_t withdrawn;             ///< read-only: granted since birth
  uint64_t denied;                ///< read-only: refused since birth
};

/// 0.2 of the calls over 10 s, plus 3.
void wr_budget_config_init(struct wr_budget_config *config);

/// NULL, or which bound is broken.
const char *wr_budget_config_check(const struct wr_budget_config *config);

/// Begins with the minimum only. The configuration must pass its check.
void wr_budget_init(struct wr_budget *b, const struct wr_budget_config *config);

/// Applies another configuration; what was deposited and withdrawn stays, as far as it fits the
/// span.
void wr_budget_reconfigure(struct wr_budget *b, const struct wr_budget_config *config,
                           uint64_t now_ns);

/// A call makes its first attempt.
void wr_budget_deposit(struct wr_budget *b, uint64_t now_ns);

/// Pays for one extra attempt; false when the budget is spent.
bool wr_budget_withdraw(struct wr_budget *b, uint64_t now_ns);

/// Share of the present allowance that is left, 0 to 1; 0 when there is no allowance at all.
double wr_budget_remaining(struct wr_budget *b, uint64_t now_ns);

/// Extra attempts per call over the span; 0 without calls.
double wr_budget_share(struct wr_budget *b, uint64_t now_ns);

/// Makes it valid whatever its bytes are, after a lock holder died.
void wr_budget_repair(struct wr_budget *b, uint64_t now_ns);

/// Writes it to an archive, or reads it from there; call `wr_budget_repair` after reading.
void wr_budget_archive(struct wr_budget *b, struct wr_archive *a);
