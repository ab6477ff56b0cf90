#pragma once
/// The reload coordinator: trial in a forked candidate, preparation in every worker, one commit for
/// all.
///
///     idle -> trial -> prepare -> commit -> idle
///
/// A failure before commit changes nothing: no worker has swapped, new listeners are closed again,
/// the reason is told to every caller and logged. One reload at a time; those asked for meanwhile
/// are served together by one more. A dry run ends behind the trial, and waits for reloads.

#include "master.h"

/// Prepares the coordinator; nothing is under way.
void wr_reload_init(struct wr_master *m);

/// Asks for a reload. `waiter` (may be NULL) gets the verdict. `force`: a quarantine of the bundle
/// is lifted.
void wr_reload_request(struct wr_master *m, struct wr_admin_waiter *waiter, bool force);

/// Asks what a reload would change; nothing does. `waiter` gets the answer.
void wr_reload_dry_run(struct wr_master *m, struct wr_admin_waiter *waiter);

/// The live bundle is quarantined: the newest one that was live before and is not goes live again.
/// At the end of this turn, or of the reload under way.
void wr_reload_restore(struct wr_master *m);

/// A child that is no worker ended: the candidate, if `pid` is its.
void wr_reload_on_exit(struct wr_master *m, pid_t pid, int status);

/// A worker has prepared, failed to, or swapped; or it died (and its successor is on its way).
void wr_reload_on_prepared(struct wr_master_worker *w, uint64_t number);
void wr_reload_on_failed(struct wr_master_worker *w, uint64_t number,
                         const struct wr_worker_failure *failure);
void wr_reload_on_live(struct wr_master_worker *w, uint64_t number);

/// A worker was forked: if a generation is being prepared, it has to prepare it too.
void wr_reload_on_fork(struct wr_master_worker *w);

/// Ends the candidate, if any, and answers every caller: weir stops.
void wr_reload_stop(struct wr_master *m);
