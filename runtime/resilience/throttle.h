#pragma once
/// Client-side throttling: refuses here what the upstream would refuse, in proportion.
///
/// The adaptive throttling of Google's SRE book ("Handling Overload", research/resilience.md §2.6):
/// a call is refused with p = max(0, (requests - ratio * accepts) / (requests + 1)) over the
/// window. What was refused here counts as a request, or the throttle would let go too early.
/// Cancelled and ignored calls count neither way. The share is dealt out by a credit instead of
/// draws. Whatever p is, a call passes when none has for `probe_ns`: the way back. Pure, in one
/// struct that may live in shared memory; the caller holds its lock around each call.

#include "resilience/rolling.h"

#include <stdbool.h>

struct wr_throttle_config {
  double ratio;       ///< requests let through for each accepted one, 1 to 100
  uint64_t window_ns; ///< what is looked back on, 1 s to 1 h
  uint64_t probe_ns;  ///< longest time without a call that passes, at least 1 ms
  uint32_t min_calls; ///< refuses nobody below this many requests in the window
  bool shadow;        ///< admits everything, counts what it would have refused
};

struct wr_throttle_counters {
  uint64_t admitted;
  uint64_t refused;
  uint64_t accepted; ///< by the upstream
  uint64_t rejected; ///< by the upstream, or it failed
  uint64_t shadow_refused;
};

struct wr_throttle {
  struct wr_throttle_config config;     // read-only: change it by wr_throttle_reconfigure
  struct wr_throttle_counters counters; ///< read-only
  struct wr_rolling calls;              // private: columns requests, accepts
  double credit;                        // private
  uint64_t passed_ns;                   // private: when a call was last admitted
};

/// Ratio 2 over 2 minutes, from 10 calls on, one call a second passes.
void wr_throttle_config_init(struct wr_throttle_config *config);

/// NULL, or which bound is broken.
const char *wr_throttle_config_check(const struct wr_throttle_config *config);

/// Begins with an empty window.
void wr_throttle_init(struct wr_throttle *t, const struct wr_throttle_config *config,
                      uint64_t now_ns);

/// Applies another configuration; the window keeps what fits it.
void wr_throttle_reconfigure(struct wr_throttle *t, const struct wr_throttle_config *config,
                             uint64_t now_ns);

/// The formula.
double wr_throttle_probability(uint64_t requests, uint64_t accepts, double ratio);

/// The share of the calls that is refused now.
double wr_throttle_share(struct wr_throttle *t, uint64_t now_ns);

/// Whether the call may be made; settle it then. When not, `*after_ns` is how long until one passes
/// for certain.
bool wr_throttle_try(struct wr_throttle *t, uint64_t now_ns, uint64_t *after_ns);

/// The call was accepted by the upstream, or it was not.
void wr_throttle_settle(struct wr_throttle *t, bool is_accepted, uint64_t now_ns);

/// Makes any bytes valid.
void wr_throttle_repair(struct wr_throttle *t, uint64_t now_ns);
