#pragma once
/// When primitives begin to refuse calls, and when that is over: one event each, however many calls
/// it was. For those without states of their own: bulkheads, limiters, shedders, throttles, and
/// what `weir.overload` makes a worker shed.
///
/// Found by their counters once a second, so that requests pay nothing. Over after WR_EPISODES_CALM
/// seconds without a refusal. The master's only thread.

#include "arena/registry.h"
#include "base/log.h"

enum { WR_EPISODES_CALM = 5 };

/// One primitive, or one worker.
struct wr_episode {
  uint32_t generation; ///< of the entry that `seen` is about; 0: of none
  uint32_t calm;       ///< seconds without a refusal
  uint64_t seen;       ///< refusals that were counted by the last look
  uint64_t refused;    ///< in the episode; 0: there is none
  uint64_t began_ns;
};

struct wr_episodes {
  struct wr_registry *registry;
  struct wr_log *log;
  struct wr_episode *entries; ///< by the index of an entry
  struct wr_episode *workers; ///< by slot
  uint64_t due_ns;
  bool has_looked; ///< at least once
};

/// Both are borrowed and outlive it.
void wr_episodes_init(struct wr_episodes *e, struct wr_registry *registry, struct wr_log *log);

/// Frees it.
void wr_episodes_fini(struct wr_episodes *e);

/// Looks, once a second; call as often as you like.
void wr_episodes_tick(struct wr_episodes *e, uint64_t now_ns);
