#pragma once
/// When a call is hedged: a second attempt beside one that is slower than most (Dean and Barroso,
/// "The Tail at Scale", 2013), and how much that may cost.
///
/// The delay is fixed, or a live percentile of how long first attempts take, or the percentile that
/// an allowed extra load implies (finagle's BackupRequestFilter: percentile = 1 - extra load). The
/// extra load is also a hard bound: over the window, and from the beginning, hedges never exceed
/// `max_extra_load` x calls. A percentile of few calls means nothing: until `min_calls` have ended
/// in the window only failures are hedged. Pure; the caller holds the lock.
///
/// Only first attempts are samples: a percentile of all attempts would not be the share of calls
/// that get hedged. One that failed or was cancelled after its hedge had won is censored.

#include "resilience/budget.h"
#include "resilience/quantile.h"

#define WR_HEDGE_NEVER UINT64_MAX ///< as a delay: this call is not hedged for being slow

enum { WR_HEDGE_MAX = 10 }; ///< hedges of one call

struct wr_hedge_config {
  uint64_t delay_ns;     ///< fixed; 0: from the percentile
  double percentile;     ///< 0: 1 - max_extra_load
  double max_extra_load; ///< hedges per call, 0 to 1; 0: as many as are due
  uint64_t min_delay_ns; ///< a percentile below this counts as this
  uint64_t window_ns;    ///< what is looked back on
  uint32_t min_calls;    ///< ended ones in the window, before a percentile means anything
  uint32_t max;          ///< hedges of one call, 1 to WR_HEDGE_MAX
};

/// How a first attempt ended, or a hedge that decided its call.
enum wr_hedge_end {
#define WR_HEDGE_END(ENUM, name, meaning) WR_HEDGE_##ENUM,
#include "tables/states.def"
  WR_HEDGE_ENDS
};

struct wr_hedge_counters {
  uint64_t calls;
  uint64_t ends[WR_HEDGE_ENDS]; ///< calls by how they ended
  uint64_t slow;                ///< hedges started because the delay had passed
  uint64_t failed;              ///< hedges started because an attempt had failed
  uint64_t denied;              ///< not started: the extra load was at its bound
  uint64_t denied_budget;       ///< not started: the retry budget was spent
  uint64_t unsafe;              ///< not started: repeating could do harm
};

struct wr_hedge {
  struct wr_hedge_config config;     ///< read-only: change it by wr_hedge_reconfigure
  struct wr_hedge_counters counters; ///< read-only, but for those that the guard counts
  struct wr_budget load;             // private: the hard bound
  uint64_t learned_ns;               // private: the percentile, WR_HEDGE_NEVER without one
  uint64_t refresh_ns;               // private: when it is looked up again
  struct wr_quantile latency;        // private
};

/// Delay from `max_extra_load` 0.05 with at least 1 ms, window 30 s, 20 calls, 1 hedge.
void wr_hedge_config_init(struct wr_hedge_config *config);

/// NULL, or which bound is broken.
const char *wr_hedge_config_check(const struct wr_hedge_config *config);

/// Begins without samples. The configuration must pass its check.
void wr_hedge_init(struct wr_hedge *h, const struct wr_hedge_config *config);

/// Applies another configuration; samples and what was spent stay unless the window changes.
void wr_hedge_reconfigure(struct wr_hedge *h, const struct wr_hedge_config *config,
                          uint64_t now_ns);

/// A call makes its first attempt. Returns after how long it should be hedged, or WR_HEDGE_NEVER.
uint64_t wr_hedge_begin(struct wr_hedge *h, uint64_t now_ns);

/// The same without a call, for pages.
uint64_t wr_hedge_delay(struct wr_hedge *h, uint64_t now_ns);

/// Pays for one hedge; false when the extra load is at its bound, which fails nothing: the call
/// goes on unhedged. `is_slow`: the delay passed, else an attempt failed.
bool wr_hedge_pay(struct wr_hedge *h, bool is_slow, uint64_t now_ns);

/// A call ended. `took_ns` is how long its first attempt took, or had taken when it was cancelled.
void wr_hedge_end(struct wr_hedge *h, enum wr_hedge_end end, uint64_t took_ns, uint64_t now_ns);

/// Hedges per call over the window.
double wr_hedge_load(struct wr_hedge *h, uint64_t now_ns);

/// "primary", …
const char *wr_hedge_end_name(enum wr_hedge_end end);

/// Makes it valid whatever its bytes are, after a lock holder died.
void wr_hedge_repair(struct wr_hedge *h, uint64_t now_ns);
