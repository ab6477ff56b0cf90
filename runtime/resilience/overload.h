#pragma once
/// Sheds calls by priority while a signal of the process (a late loop, memory, requests in flight)
/// is past its bound.
///
/// Which share is shed is decided once a tick of 100 ms, step by step: the least important class
/// first, a class by shares rather than all or nothing, and back as slowly once all signals are
/// under 80 % of their bounds. Between the two it stays. So a single late turn costs a little of
/// the background traffic, a lasting overload reaches the higher classes, and nothing swings: a
/// threshold for each class would cut and let back all the traffic of a site that knows one class
/// only. Shares are dealt out by a credit, without draws. Critical calls are never shed. Pure, in
/// one struct that may live in shared memory; the caller holds its lock.

#include "resilience/priority.h"

#include <stdbool.h>

/// Bounds; 0: the signal does not count.
struct wr_overload_config {
  uint64_t lag_ns;       ///< how late the loop comes to its timers
  uint64_t memory_bytes; ///< of all processes
  double memory_share;   ///< of the same, as a share of what they may have
  uint32_t in_flight;    ///< requests of all workers
};

/// What a process knows of itself.
struct wr_overload_signals {
  uint64_t lag_ns;
  uint64_t memory_bytes;
  uint64_t memory_limit; ///< what the processes may have; 0: nobody knows
  uint32_t in_flight;
};

struct wr_overload {
  uint64_t tick_ns; // private: when the level was last judged
  double pressure;  // private: highest since then
  double level;     ///< read-only: classes that are shed, 0 to WR_PRIORITIES - 1; 1.5: background,
                    ///< and half of low
  double credit[WR_PRIORITIES]; // private
};

/// NULL, or which bound is broken.
const char *wr_overload_config_check(const struct wr_overload_config *config);

/// Whether any signal counts.
bool wr_overload_is_on(const struct wr_overload_config *config);

/// The signal nearest to its bound, as a share of that: overload from 1 on.
double wr_overload_pressure(const struct wr_overload_config *config,
                            const struct wr_overload_signals *signals);

/// Takes note of the pressure since the last call, and moves the level when a tick has passed.
void wr_overload_feed(struct wr_overload *o, double pressure, uint64_t now_ns);

/// Whether this call is to be shed. Draws on its class's share.
bool wr_overload_sheds(struct wr_overload *o, enum wr_priority priority);

/// Makes any bytes valid.
void wr_overload_repair(struct wr_overload *o, uint64_t now_ns);
