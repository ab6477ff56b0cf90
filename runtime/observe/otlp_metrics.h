#pragma once
/// The page of metrics as OTLP metrics, cumulative since the start. What is exported is what
/// /metrics shows, so that no value is read in two ways.

#include "observe/otlp_batch.h"

struct wr_otlp_metrics {
  struct wr_otlp_batch *batch;
  uint64_t start_ns, now_ns; ///< Unix time: when counting began, and now
  uint32_t lost;             ///< records that had no room
};

/// Converts a page of the text format of Prometheus.
void wr_otlp_metrics_write(struct wr_otlp_metrics *m, struct wr_str page);
