#pragma once
/// The reload coordinator: trial in a forked candidate, preparation in every worker, one commit for
/// all. What is asked of it, and when it begins, is demand.h's.
///
///     idle -> trial -> prepare -> (canary ->) commit -> idle
///
/// A failure before commit changes nothing: no worker has swapped, new listeners are closed again,
/// the reason is told to every caller and logged. One at a time. A generation that was live before
/// needs no trial: its bundle is as it was then, and workers that keep it warm have it ready at
/// once.

#include "master.h"

/// Whether nothing of this program serves yet.
bool wr_reload_is_first(const struct wr_master *m);

/// Begins with order `o`, which is taken over: the bundle and what is to be told of it are not
/// known yet.
void wr_reload_start(struct wr_master *m, struct wr_order *o);

/// They are known: `reload.report` and `reload.bundle`. Goes on with it, if it is fit and other
/// than the live one.
void wr_reload_judge(struct wr_master *m);

/// The reload under way is over, and everybody is told.
void wr_reload_finish(struct wr_master *m, bool ok, bool changed);

/// It fails in `stage` for a reason. Nothing has changed.
void wr_reload_fail(struct wr_master *m, const char *stage, const char *message);

/// The canary goes live, if every worker has it.
void wr_reload_promote(struct wr_master *m);

/// The shadow's time is over: it goes away, and the verdict tells what was counted.
void wr_reload_end_shadow(struct wr_master *m);

/// A worker has prepared, failed to, or swapped; or it died (and its successor is on its way).
void wr_reload_on_prepared(struct wr_master_worker *w, uint64_t number);
void wr_reload_on_failed(struct wr_master_worker *w, uint64_t number,
                         const struct wr_worker_failure *failure);
void wr_reload_on_live(struct wr_master_worker *w, uint64_t number);

/// A worker was forked: if a generation is being prepared, it has to prepare it too.
void wr_reload_on_fork(struct wr_master_worker *w);
