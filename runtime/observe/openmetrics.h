#pragma once
/// A page of metrics in the OpenMetrics format (1.0.0), made from one in Prometheus' text format.

#include "base/buf.h"

/// Appends it. The page's HELP and TYPE lines stand next to each other. Counters keep the names of
/// their samples; those whose family another one is called like, or that do not end with `_total`,
/// are of type `unknown`. False when it does not fit.
bool wr_openmetrics_write(struct wr_str page, struct wr_buf *out);
