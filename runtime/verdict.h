#pragma once
/// What a reload came to, as JSON: for those who asked for it and for the log, and in a line
/// for the service manager. The master's only.

#include "master.h"

/// Answers everybody who waits for the reload under way: it went live, with another bundle or not,
/// or the report says why not.
void wr_verdict_tell(struct wr_master *m, bool ok, bool changed);

/// Answers everybody who waits for the dry run under way with the text in `fd`; with -1 the report
/// says why there is none.
void wr_verdict_tell_dry(struct wr_master *m, int fd);

/// Logs what `wr_verdict_tell` tells.
void wr_verdict_log(struct wr_master *m, bool ok, bool changed);

/// Tells the service manager that a reload is over, and how. Nothing happens before the first
/// generation is live, nor once weir stops.
void wr_verdict_notify(struct wr_master *m, bool ok);
