#pragma once
/// Watches the workers' loops: one that has not turned for the heartbeat's time is ended, and says
/// what it was at. The master's only.

#include "master.h"

/// Looks at all of them. When to look again, before the next tick; UINT64_MAX: that will do. Not
/// for a master that is late itself.
uint64_t wr_heartbeat_check(struct wr_master *m, uint64_t now);

/// We wait for a lock that process `holder` has (0: nobody knows who): for wr_arena's on_wait.
uint64_t wr_heartbeat_on_wait(void *ctx, uint32_t holder);
