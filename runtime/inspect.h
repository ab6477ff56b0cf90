#pragma once
/// Looking at bundles without touching what serves: what one declares, what one would change of
/// another. Each look is a trial of its own, one after the other, beside whatever the reload
/// coordinator does. The master's only.

#include "master.h"

enum { WR_INSPECT_FILES = 0 }; ///< instead of a generation's number: what is on disk

/// Prepares; nobody looks yet.
void wr_inspect_init(struct wr_master *m);

/// What `subject`, a generation's number or WR_INSPECT_FILES, declares. `waiter` gets the answer.
void wr_inspect_show(struct wr_master *m, struct wr_admin_waiter *waiter, uint64_t subject);

/// What `subject` would change of generation `base` (0: the live one). `waiter` gets the answer.
void wr_inspect_compare(struct wr_master *m, struct wr_admin_waiter *waiter, uint64_t base,
                        uint64_t subject);

/// Answers whoever waits still: weir stops.
void wr_inspect_stop(struct wr_master *m);
