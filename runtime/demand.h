#pragma once
/// What is asked of the reload coordinator, one thing after the other: the files, a generation that
/// was live before, or the last good one. Loads that are asked for while another reload is under
/// way are served together by one more. The master's only.

#include "master.h"

/// Nothing is asked for yet.
void wr_demand_init(struct wr_master *m);

/// The first reload of this program: at its start, or when it takes over from another.
void wr_demand_begin(struct wr_master *m);

/// Takes up what was asked for while it had to wait.
void wr_demand_go_on(struct wr_master *m);

struct wr_demand_options {
  bool is_forced; ///< a quarantine of the bundle is lifted
  struct wr_probation_plan probation;
};

/// Asks for the files to be loaded. `waiter` (may be NULL) gets the verdict. Of several that wait
/// the last one's probation counts.
void wr_demand_load(struct wr_master *m, struct wr_admin_waiter *waiter,
                    const struct wr_demand_options *options);

/// Asks for generation `number` to be live again, as it was read then; 0: the newest past one that
/// is not quarantined. `waiter` (may be NULL) gets the verdict. `force`: a quarantine is lifted.
void wr_demand_use(struct wr_master *m, struct wr_admin_waiter *waiter, uint64_t number,
                   bool force);

/// Takes back what was done last: ends a shadow, with what it has counted, or a canary, if there is
/// one, else `wr_demand_use` of the newest past.
void wr_demand_abort(struct wr_master *m, struct wr_admin_waiter *waiter);

/// The live bundle is quarantined: the newest one that was live before and is not goes live again.
/// At the end of this turn, or of the reload under way.
void wr_demand_restore(struct wr_master *m);

/// Answers every caller: weir stops.
void wr_demand_stop(struct wr_master *m);
