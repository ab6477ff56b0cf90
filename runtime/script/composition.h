#pragma once
/// What a loaded bundle composed: the pipeline of each route, and warnings. Rules and wording are
/// in lua/weir/core/report.lua; this runs them. One worker's loop, or a trial.

#include "base/buf.h"
#include "script/script.h"

/// Appends the report on a loaded script to `out` in one of the forms "text", "json" and "log" (one
/// log line for each warning, nothing in `out`). `folder` goes before every place in a text.
/// Returns the number of warnings, or -1 with `error` filled.
int wr_composition_report(struct wr_script *s, const char *form, struct wr_str folder,
                          struct wr_buf *out, struct wr_script_error *error);
