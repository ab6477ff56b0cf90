#pragma once
/// Named state from one run of the program to the next: --state. The master's only.

#include "master.h"

/// Reads the file, before the arena is opened. What it says is given to the primitives when the
/// first generation goes live. One that cannot be read is left alone, and the log says why.
void wr_state_load(struct wr_master *m);

/// Tells of what `wr_state_load` found, once there is a log.
void wr_state_tell(struct wr_master *m);

/// Every worker has declared what its bundle has, and none serves yet: gives them their state.
void wr_state_restore(struct wr_master *m);

/// Writes the file, if something was ever live. Every worker is gone.
void wr_state_save(struct wr_master *m);
