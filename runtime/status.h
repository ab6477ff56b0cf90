#pragma once
/// What `weir status` shows: the master's view as JSON.

#include "master.h"

/// Writes one object: version, readiness, generation, confinement, workers, listeners, primitives,
/// reloads.
void wr_status_write(struct wr_master *m, bool is_ready, struct wr_json *j);
