#pragma once
/// The reload coordinator: trial in a forked candidate, preparation in every worker, one commit for
/// all.
///
///     idle -> trial -> prepare -> (canary ->) commit -> idle
///
/// A failure before commit changes nothing: no worker has swapped, new listeners are closed again,
/// the reason is told to every caller and logged. One at a time; the loads that are asked for
/// meanwhile are served together by one more. A generation that was live before needs no trial: its
/// bundle is as it was then, and workers that keep it warm have it ready at once.

#include "master.h"

/// Prepares the coordinator; nothing is under way.
void wr_reload_init(struct wr_master *m);

/// The first one of this program: at its start, or when it takes over from another.
void wr_reload_begin(struct wr_master *m);

/// Takes up what was asked for while it had to wait.
void wr_reload_go_on(struct wr_master *m);

struct wr_reload_options {
  bool is_forced; ///< a quarantine of the bundle is lifted
  struct wr_probation_plan probation;
};

/// Asks for the files to be loaded. `waiter` (may be NULL) gets the verdict. Of several that wait
/// the last one's probation counts.
void wr_reload_request(struct wr_master *m, struct wr_admin_waiter *waiter,
                       const struct wr_reload_options *options);

/// Asks for generation `number` to be live again, as it was read then; 0: the newest past one that
/// is not quarantined. `waiter` (may be NULL) gets the verdict. `force`: a quarantine is lifted.
void wr_reload_use(struct wr_master *m, struct wr_admin_waiter *waiter, uint64_t number,
                   bool force);

/// Takes back what was done last: ends a shadow, with what it has counted, or a canary, if there is
/// one, else `wr_reload_use` of the newest past.
void wr_reload_abort(struct wr_master *m, struct wr_admin_waiter *waiter);

/// The canary goes live, if every worker has it.
void wr_reload_promote(struct wr_master *m);

/// The shadow's time is over: it goes away, and the verdict tells what was counted.
void wr_reload_end_shadow(struct wr_master *m);

/// The reload under way fails in `stage` for a reason. Nothing has changed.
void wr_reload_fail(struct wr_master *m, const char *stage, const char *message);

/// The live bundle is quarantined: the newest one that was live before and is not goes live again.
/// At the end of this turn, or of the reload under way.
void wr_reload_restore(struct wr_master *m);

/// A worker has prepared, failed to, or swapped; or it died (and its successor is on its way).
void wr_reload_on_prepared(struct wr_master_worker *w, uint64_t number);
void wr_reload_on_failed(struct wr_master_worker *w, uint64_t number,
                         const struct wr_worker_failure *failure);
void wr_reload_on_live(struct wr_master_worker *w, uint64_t number);

/// A worker was forked: if a generation is being prepared, it has to prepare it too.
void wr_reload_on_fork(struct wr_master_worker *w);

/// Answers every caller: weir stops.
void wr_reload_stop(struct wr_master *m);
