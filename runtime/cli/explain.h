#pragma once
/// What `weir explain` does beside asking for a request that was: what would one meet?

#include "cli/options.h"

/// Prints the pipeline of `what`, "METHOD PATH" with the verb's option "host", in the live
/// generation, without sending anything. Returns the exit code.
int wr_explain_dry(const struct wr_options *o, const char *what);
