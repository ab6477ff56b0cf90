#pragma once
/// One loaded bundle in one worker: scripts, routes, and who still needs them.
///
/// Immutable after load. A request takes a reference when its head is complete and keeps its
/// generation to the end of its after-response work; the state that policies name belongs to the
/// registry, the activity (timers, tasks, jobs) to the generation. Life: load (warming) -> go live,
/// maybe on probation first (canary) -> cool, and maybe go live again -> retire (draining) -> free
/// at the last reference, or cut at the drain limit. One worker's loop.

#include "arena/tally.h"
#include "loop/timer.h"
#include "policy/route.h"
#include "policy/source.h"
#include "script/script.h"

enum wr_generation_state {
#define WR_GENERATION_STATE(ENUM, name, meaning) WR_GENERATION_##ENUM,
#include "tables/states.def"
  WR_GENERATION_STATES
};

struct wr_generation {
  struct wr_list link; ///< the owner's list
  uint64_t number;     ///< read-only
  enum wr_generation_state state;
  struct wr_source *source; ///< owned
  struct wr_script *script;
  struct wr_route_table *routes;
  bool is_woken;           // private: it cools, and is to be live again
  struct wr_tally *tally;  ///< what the master is told of it; NULL: nothing
  struct wr_list requests; ///< serving requests that hold it
  struct wr_list jobs;     ///< struct wr_job
  size_t refs;
  uint64_t retired_ns; ///< when new requests stopped coming
  struct wr_deferred reaper;
  /// Told when the last reference of a draining generation is gone; the owner frees it then.
  void (*on_idle)(struct wr_generation *g);
  void *owner;
};

/// Where and why a load failed, for the operator.
struct wr_generation_error {
  const char *stage; ///< "read", "load", "routes"
  struct wr_script_error script;
};

/// A generation that is not loaded yet, of `source` (taken over, also on failure). NULL with
/// `error` filled.
struct wr_generation *wr_generation_new(struct wr_script_env *env, uint64_t number,
                                        struct wr_source *source,
                                        struct wr_generation_error *error);

/// Loads it in its own VM and checks what it declares, for about `slice_ns` of processor time
/// (UINT64_MAX: to the end). FAILED with `error` filled: it can only be freed.
enum wr_vm_progress wr_generation_go_on(struct wr_generation *g, uint64_t slice_ns,
                                        struct wr_generation_error *error);

/// Both in one go. NULL with `error` filled.
struct wr_generation *wr_generation_load(struct wr_script_env *env, uint64_t number,
                                         struct wr_source *source,
                                         struct wr_generation_error *error);

/// Goes live: reconciles the kept state with what was declared and starts the jobs.
void wr_generation_start(struct wr_generation *g);

/// The same without the jobs, for selftests.
void wr_generation_rehearse(struct wr_generation *g);

/// An admission that one of its tasks or jobs waits for was decided. False when it is not its.
bool wr_generation_granted(struct wr_generation *g, uint64_t id, bool granted);

/// Serves a share of the requests beside the live one: state that both name stays as the live one
/// declared it, and jobs are the live one's.
void wr_generation_probe(struct wr_generation *g);

/// Its primitives are asked beside those of the live one (`source->is_shadow` said so at load).
void wr_generation_shadow(struct wr_generation *g, struct wr_guard_shadow *shadow);

/// No new requests come until it goes live again: ends the jobs. What is under way goes on, as in a
/// retired one; then it lets go of its named state, which is gone to others like that of a retired
/// one.
void wr_generation_cool(struct wr_generation *g);

/// A cooling one is to be live again. False when what it named is not there any more: it cannot be.
bool wr_generation_wake(struct wr_generation *g);

/// And is not, after all.
void wr_generation_rest(struct wr_generation *g);

/// No new requests come any more: ends the jobs; what weir.spawn started, and the run of a
/// singleton that is under way, go on until they are done or cut. `on_idle` follows, at the end of
/// this turn at the earliest.
void wr_generation_retire(struct wr_generation *g);

/// Tells its tally what it holds.
void wr_generation_tell(const struct wr_generation *g);

/// The word for a state.
const char *wr_generation_state_name(enum wr_generation_state state);

/// Goes on serving, but ends the jobs: another process has them from now on.
void wr_generation_end_jobs(struct wr_generation *g);

/// Somebody needs it: a request, until it lets go.
void wr_generation_ref(struct wr_generation *g);

/// One who needs it less; a draining one goes with the last, at the end of this turn.
void wr_generation_unref(struct wr_generation *g);

/// Nothing holds it any more: frees most of it, for about `slice_ns` of processor time. False: call
/// again; true: free it.
bool wr_generation_wither(struct wr_generation *g, uint64_t slice_ns);

/// Frees it; nothing may hold it any more.
void wr_generation_free(struct wr_generation *g);
