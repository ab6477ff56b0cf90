#pragma once
/// Named state from one run of the program to the next: --state. The master's only.

#include "master.h"

/// Opens the arena: the one that was handed over, if its layout is ours, else a new one. For that
/// what was kept is read, what the program before handed over, else the file; it is given to the
/// primitives when the first generation goes live. A file that cannot be read is left alone, and
/// the log says why. False with a set error.
bool wr_state_open_arena(struct wr_master *m, struct wr_error *error);

/// Tells of what `wr_state_open_arena` found, once there is a log.
void wr_state_tell(struct wr_master *m);

/// Every worker has declared what its bundle has, and none serves yet: gives them their state.
void wr_state_restore(struct wr_master *m);

/// Writes the file, if something was ever live. Every worker is gone.
void wr_state_save(struct wr_master *m);
