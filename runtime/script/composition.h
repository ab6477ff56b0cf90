#pragma once
/// What a loaded bundle composed: the pipeline of each route, warnings, and what differs from
/// another. Rules and wording are in lua/weir/core/report.lua and facts.lua; this runs them. One
/// worker's loop, or a trial.

#include "base/buf.h"
#include "script/script.h"

/// Appends the report on a loaded script to `out` in one of the forms "text", "json" and "log" (one
/// log line for each warning, nothing in `out`). `folder` goes before every place in a text.
/// Returns the number of warnings, or -1 with `error` filled.
int wr_composition_report(struct wr_script *s, const char *form, struct wr_str folder,
                          struct wr_buf *out, struct wr_script_error *error);

/// Appends what a loaded script declared, as JSON (lua/weir/core/facts.lua). False with `error`
/// filled.
bool wr_composition_facts(struct wr_script *s, struct wr_buf *out, struct wr_script_error *error);

/// Appends the same for people to look at, with the paths of its files, `files`, a line each. False
/// with `error` filled.
bool wr_composition_shown(struct wr_script *s, struct wr_str files, struct wr_buf *out,
                          struct wr_script_error *error);

/// Appends what a loaded script would change, as JSON: `before` are the facts of the live bundle,
/// `files` the paths of the files that differ, a line each. False with `error` filled.
bool wr_composition_changes(struct wr_script *s, struct wr_str before, struct wr_str files,
                            struct wr_buf *out, struct wr_script_error *error);
