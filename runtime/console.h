#pragma once
/// What the master does for the admin listener: the table of functions that it is given.

#include "master.h"

/// Listens on the admin address. False with a set error.
bool wr_console_open(struct wr_master *m, struct wr_error *error);
