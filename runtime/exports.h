#pragma once
/// The master's part in exporting telemetry (observe/otlp_settings.h): it tells of variables that
/// make no sense, collects metrics and the log lines of all processes, and hands them to a worker,
/// which sends them. The master itself talks to nobody.

#include "arena/journal.h"
#include "loop/timer.h"
#include "observe/otlp_batch.h"
#include "observe/otlp_histograms.h"

struct wr_master;

/// All private.
struct wr_exports {
  struct wr_otlp_batch batches[WR_OTLP_SIGNALS]; ///< of metrics and logs
  struct wr_timer timers[WR_OTLP_SIGNALS];
  struct wr_journal_cursor *cursors; ///< of two rings of each slot; NULL: no lines are exported
  struct wr_buf line;
  struct wr_otlp_totals totals; ///< of exponential histograms
};

/// Writes the metrics of all processes, as /metrics shows them, with exemplars or without. False
/// when they do not fit.
bool wr_exports_page(struct wr_master *m, bool with_examples, struct wr_buf *out);

/// Tells of variables that make no sense and begins. Once, when log, meter and arena are open.
void wr_exports_init(struct wr_master *m);

/// Exports what there is to export now: the workers are about to leave.
void wr_exports_flush(struct wr_master *m);

/// The worker of a slot is dead: counts what it had not sent.
void wr_exports_bury(struct wr_master *m, uint32_t slot);

/// Ends it, if it has begun.
void wr_exports_fini(struct wr_master *m);
