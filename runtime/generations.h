#pragma once
/// The list of generations, for `weir policy list`: what is live, what could be again, what still
/// finishes, what failed. The master's only.

#include "master.h"

/// Writes the list as a JSON array, newest number first.
void wr_generations_write(struct wr_master *m, struct wr_json *j);
