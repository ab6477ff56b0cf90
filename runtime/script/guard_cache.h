#pragma once
/// A cache behind the guard: its settings and counters, and the calls that fetch or wait for a key.
///
/// A claim (`wr_guard_enter` with the key's hash) is admitted when nobody fetches that key: the
/// caller leads, fills the cache and leaves. Else it is queued; a grant means that it leads now,
/// a refused grant that the leader is done: look again. Outcome CANCELLED of a leader, or its
/// death, hands the lead on.

#include "arena/cache.h"
#include "resilience/flight.h"

/// What a cache's entry is configured with; registry's bytes.
struct wr_cache_options {
  struct wr_cache_config space;
  uint64_t waiters; ///< most calls that wait for others, up to WR_FLIGHT_WAITERS_MAX
};

/// What a cache's entry holds: `space` first, which is read without the entry's lock.
struct wr_cache_state {
  struct wr_cache_space space;
  struct wr_flight flight;
};
