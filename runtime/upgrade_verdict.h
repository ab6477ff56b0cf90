#pragma once
/// What an upgrade came to: for who asked, by whichever program asked and answers; for the log, the
/// metrics and the service manager. The master's only.

#include "master.h"

/// It is over: our workers serve.
void wr_upgrade_verdict_done(struct wr_master *m);

/// Nothing has changed, because of `why`.
void wr_upgrade_verdict_failed(struct wr_master *m, const char *why);

/// It did not begin. `waiter` may be NULL.
void wr_upgrade_verdict_refused(struct wr_master *m, struct wr_admin_waiter *waiter,
                                const char *why);
