#pragma once
/// The process of a trial, as its master sees it: forked, bounded in time, its report read when it
/// is gone. The master's only.

#include "candidate.h"
#include "loop/mailbox.h"
#include "loop/timer.h"

#include <sys/types.h>

struct wr_master;

/// Lives until its process is gone and its mailbox has closed.
struct wr_trial {
  struct wr_list link; ///< in the master's list, while the process lives
  struct wr_master *master;
  struct wr_mailbox mailbox;
  struct wr_timer timer;
  pid_t pid;
  bool has_report;
  /// Read-only in `on_done`: what the process said, or what became of it.
  struct wr_candidate_report report;
  int result; ///< descriptor that came with a report that is ok: take it (set -1), or it is closed
  void (*on_done)(struct wr_trial *t);
};

/// Forks a process that does `task` (its sources are taken over, also on failure) and ends it after
/// WR_CANDIDATE_TIME_NS. `on_done` is called once, when it is gone; never when weir drains. NULL
/// when there can be no process.
struct wr_trial *wr_trial_start(struct wr_master *m, const struct wr_candidate_task *task,
                                void (*on_done)(struct wr_trial *t));

/// A child that is no worker ended: a trial's, if `pid` is one.
void wr_trial_on_exit(struct wr_master *m, pid_t pid, int status);

/// Ends the processes of all trials: weir stops.
void wr_trial_kill_all(struct wr_master *m);
