#pragma once
/// The second ring around runaway scripts (DESIGN §7): a worker that died, or stood still, inside a
/// script is a strike against the generation; one that has too many is quarantined, and the last
/// good one comes back. The master's only.

#include "master.h"

/// What a worker was at: fields for a log line, if it is, or was, inside a script.
void wr_strike_describe(const struct wr_master_worker *w, struct wr_json *j);

/// A worker was ended by a signal. Call before its slot is cleared.
void wr_strike_on_death(struct wr_master_worker *w);

/// Whether the bundle of the reload under way is quarantined: the reload has failed then. Who
/// insists has that lifted.
bool wr_strike_bars(struct wr_master *m);
