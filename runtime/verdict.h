#pragma once
/// What a reload came to, as JSON: for those who asked for it and for the log, and in a line
/// for the service manager. The master's only.

#include "master.h"

/// Answers everybody who waits for `o`: it went live, with another bundle or not, or the report
/// of the reload says why not.
void wr_verdict_tell(struct wr_master *m, struct wr_order *o, bool ok, bool changed);

/// Writes what is wrong with a bundle, by the report on it, to `out`, to be freed with wr_buf_fini.
void wr_verdict_problem(struct wr_master *m, const struct wr_candidate_report *report,
                        struct wr_buf *out);

/// Counts it, in the metrics too.
void wr_verdict_count(struct wr_master *m, bool ok, bool changed);

/// Counts a reload that another one, which waits already, will serve.
void wr_verdict_joined(struct wr_master *m);

/// Logs what `wr_verdict_tell` tells.
void wr_verdict_log(struct wr_master *m, bool ok, bool changed);

/// Tells the service manager that a reload is over, and how. Nothing happens before the first
/// generation is live, nor once weir stops.
void wr_verdict_notify(struct wr_master *m, bool ok);
