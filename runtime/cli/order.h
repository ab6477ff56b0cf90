#pragma once
/// An order to the running weir that is answered with a message: what is so from now on, or why
/// not.

#include "cli/options.h"

/// Sends `POST path` and tells the answer, as it is with the verb's option "json". Returns the exit
/// code.
int wr_order_send(const struct wr_options *o, const char *path);
