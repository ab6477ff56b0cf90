#pragma once
/// Chaos: an experiment that disturbs a share of the calls, for a while, until it hurts.
///
/// An experiment is off until it is applied, and off again by itself: after the time it was applied
/// for (never more than its own maximum), when it is rolled back, or when its guard sees that too
/// many requests which met it failed. Who is hit is a function of the call's hash alone, so that
/// the same request meets the same faults in every process (research/resilience.md §5.14). What
/// then happens to the call is the caller's. Pure, in one struct that may live in shared memory;
/// the caller holds its lock around each call, except for `wr_chaos_is_armed`.

#include "base/error.h"
#include "base/str.h"
#include "resilience/rolling.h"

#include <stdbool.h>

enum { WR_CHAOS_WINDOWS_MAX = 8 };

enum wr_chaos_cause {
#define WR_CHAOS_CAUSE(ENUM, name, meaning) WR_CHAOS_##ENUM,
#include "tables/states.def"
  WR_CHAOS_CAUSES
};

/// A part of the experiment's time, from when it was applied.
struct wr_chaos_window {
  uint64_t from_ns, to_ns;
};

/// What became of an experiment.
struct wr_chaos_event {
  uint8_t cause;           ///< enum wr_chaos_cause; applied: it is armed, else it is not
  uint64_t seen, injected; ///< calls since birth
};

struct wr_chaos_config {
  double probability;       ///< share of the calls that are hit, 0 to 1
  uint64_t latency_ns;      ///< delay of those that are
  uint64_t variance_ns;     ///< the delay varies by so much, up and down; at most latency_ns
  uint64_t expires_ns;      ///< longest time that it may be applied for, 1 s to 24 h
  double guard_rate;        ///< disarms at this share of failed requests; 0: no guard
  uint64_t guard_window_ns; ///< what the guard looks back on, 1 s to 1 h
  uint32_t guard_min_calls; ///< the share means nothing below this many requests
  uint32_t window_count;    ///< 0: all of its time
  struct wr_chaos_window windows[WR_CHAOS_WINDOWS_MAX]; ///< only in these
  uint64_t seed;        ///< of the draws; a hash of the experiment's name
  uint8_t is_permitted; ///< it may be applied at all
};

struct wr_chaos {
  struct wr_chaos_config config; // read-only: change it by wr_chaos_reconfigure
  _Atomic uint64_t until_ns;     // private: disarmed from then on; 0: is not applied
  uint64_t applied_ns;           ///< read-only: when it was applied last
  uint8_t cause;                 ///< read-only: enum wr_chaos_cause of the last change
  uint8_t has_news;              // private: it changed, and nobody was told
  struct wr_rolling rolling;     // private: the guard's
  uint64_t seen;                 ///< read-only: calls that met it while it was armed
  uint64_t injected;             ///< read-only: of these, hit
};

/// Hits 1 % of the calls with nothing, for at most 10 minutes; the guard ends it at half of the
/// requests of 30 s failing, from 20 on. Not permitted.
void wr_chaos_config_init(struct wr_chaos_config *config);

/// NULL, or which bound is broken.
const char *wr_chaos_config_check(const struct wr_chaos_config *config);

/// Begins disarmed. The configuration must pass its check.
void wr_chaos_init(struct wr_chaos *c, const struct wr_chaos_config *config);

/// Applies another configuration; an armed experiment goes on, but not beyond its new maximum.
void wr_chaos_reconfigure(struct wr_chaos *c, const struct wr_chaos_config *config,
                          uint64_t now_ns);

/// Arms it for `for_ns` (0: its maximum) from now; one that is armed begins anew. False with a set
/// error when it is not permitted or that is too long.
bool wr_chaos_apply(struct wr_chaos *c, uint64_t for_ns, uint64_t now_ns, struct wr_error *error);

/// Disarms it. False when it was not armed.
bool wr_chaos_rollback(struct wr_chaos *c, uint64_t now_ns);

/// Whether it is applied now. Needs no lock.
bool wr_chaos_is_armed(const struct wr_chaos *c, uint64_t now_ns);

/// Whether the call with this hash is hit; `*latency_ns` is its delay then, 0 without one.
bool wr_chaos_draw(struct wr_chaos *c, uint64_t hash, uint64_t now_ns, uint64_t *latency_ns);

/// How a request that met the experiment ended. True when that made the guard disarm it.
bool wr_chaos_note(struct wr_chaos *c, bool is_failure, uint64_t now_ns);

/// Ends it when its time is over.
void wr_chaos_advance(struct wr_chaos *c, uint64_t now_ns);

/// When `wr_chaos_advance` has something to do; UINT64_MAX while it is disarmed.
uint64_t wr_chaos_next_ns(const struct wr_chaos *c);

/// Whether it changed since it was asked last, and what it is now. Changes in between are skipped.
bool wr_chaos_take_event(struct wr_chaos *c, struct wr_chaos_event *out);

/// Makes it valid whatever its bytes are, after a lock holder died: in doubt it is disarmed.
void wr_chaos_repair(struct wr_chaos *c, uint64_t now_ns);

/// "applied", …
const char *wr_chaos_cause_name(enum wr_chaos_cause cause);
