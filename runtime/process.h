#pragma once
/// The program as a whole: default settings, and what the verbs `run` and `check` do with them.

#include "candidate.h"
#include "services.h"

/// One worker per usable core (affinity and cgroup quota), drain 30 s, heartbeat 400 ms, level
/// info.
void wr_process_defaults(struct wr_settings *settings);

/// Runs master and workers until told to stop. Returns the exit code; when it is not 0 `error` says
/// why.
int wr_process_run(const struct wr_settings *settings, struct wr_error *error);

/// Loads the bundle in this process and reports; serves nothing. `inspector` (may be NULL) looks at
/// it.
void wr_process_check(const struct wr_settings *settings, struct wr_candidate_report *report,
                      const struct wr_candidate_inspector *inspector);
