#pragma once
/// The page of metrics as OTLP metrics, cumulative since the start: what is exported is what
/// /metrics shows. Histograms alone are read from their series, for what a page has no words for
/// (otlp_histograms.h).

#include "arena/arena.h"
#include "observe/otlp_batch.h"

struct wr_otlp_totals;

struct wr_otlp_metrics {
  struct wr_otlp_batch *batch;
  const struct wr_arena *arena;
  struct wr_otlp_totals *totals; ///< lives from export to export
  bool is_exponential;           ///< histograms in seconds
  uint64_t start_ns, now_ns;     ///< Unix time: when counting began, and now
  uint32_t lost;                 ///< records that had no room
};

/// Converts a page of the text format of Prometheus.
void wr_otlp_metrics_write(struct wr_otlp_metrics *m, struct wr_str page);
