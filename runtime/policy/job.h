#pragma once
/// Background work of a generation: what `weir.every` and `weir.spawn` declare at load.
///
/// Runs while the generation is live, in each worker; a singleton's runs are those that its lease
/// lets in, so that of all workers and generations one at a time runs it. Belongs to its
/// generation. One worker's loop.

#include "loop/timer.h"
#include "script/handler.h"
#include "script/script.h"

struct wr_job {
  struct wr_list link; ///< the owner's list
  struct wr_script *script;
  const struct wr_job_declared *declared;
  struct wr_timer timer;     // next run; of a run with a lease: next renewal
  struct wr_task *task;      ///< while it runs
  struct wr_handler handler; // what `task` runs
  uint64_t started_ns;
  uint64_t claim;     // a singleton's: the turn it waits for or has; 0: none
  bool is_retired;    // no other run follows
  bool is_background; // the script waits for the end of this one
};

/// `declared` outlives it.
struct wr_job *wr_job_new(struct wr_script *script, const struct wr_job_declared *declared);

/// Begins to run it: at once, or when its lease lets it.
void wr_job_start(struct wr_job *job);

/// The turn that some job waits for has come. False: it is another's.
bool wr_job_granted(struct wr_job *job, uint64_t id);

/// Ends it. The run of a singleton that is under way goes on and counts as the script's background
/// work until it has ended.
void wr_job_retire(struct wr_job *job);

/// Ends it, with what runs.
void wr_job_free(struct wr_job *job);
