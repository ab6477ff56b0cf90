#pragma once
/// The probation of a new generation: it serves a share of the requests beside the live one for a
/// time, is compared with it ten times a second, and goes live, or away as soon as it is worse. The
/// master's only.

#include "master.h"

enum { WR_PROBATION_REQUESTS_MIN = 20 }; ///< that a canary must have served to be believed

/// Every worker is ready: the probation of the reload under way begins.
void wr_probation_begin(struct wr_master *m);

/// One worker is ready: it takes part, also later than the others.
void wr_probation_join(struct wr_master_worker *w);

/// Compares, and ends it when it is time. Ten times a second; nothing happens when there is none.
void wr_probation_tick(struct wr_master *m);

/// A worker died inside its scripts: it ends. `what` says how.
void wr_probation_strike(struct wr_master *m, const char *what);

/// Somebody wants it live now, whatever was counted; `waiter` gets the verdict. False: there is
/// none, and nothing happened.
bool wr_probation_promote(struct wr_master *m, struct wr_admin_waiter *waiter);

/// What both served, and how, as fields of the verdict.
void wr_probation_write(struct wr_master *m, struct wr_json *j);
