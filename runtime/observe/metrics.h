#pragma once
/// The Prometheus text format (version 0.0.4) of everything weir counts.
///
/// Merges the workers' columns and reads the primitives themselves, so that a breaker that nobody
/// calls is there too, closed, with zeros. Any process of the arena; the master does it for the
/// admin listener.

#include "arena/exemplar.h"
#include "arena/registry.h"
#include "arena/series.h"
#include "base/buf.h"

/// Writes all families to `out`. False when it does not fit: the caller drops it. `with_examples`:
/// buckets of requests have exemplars, which only OpenMetrics allows (observe/openmetrics.h).
bool wr_metrics_write(struct wr_registry *r, uint64_t now_ns, bool with_examples,
                      struct wr_buf *out);

/// The newest exemplar of a bucket of a histogram of requests, of all processes. False when there
/// is none.
bool wr_metrics_example(const struct wr_arena *a, uint32_t series, uint32_t bucket,
                        struct wr_exemplar_view *out);

/// Its part about the primitives, read from their states.
bool wr_metrics_primitives(struct wr_registry *r, uint64_t now_ns, struct wr_buf *out);

/// Appends those of upstreams and their endpoints, from their rosters.
bool wr_metrics_upstreams(struct wr_registry *r, uint64_t now_ns, struct wr_buf *out);

/// Are a family's values read from primitives, or from upstreams?
bool wr_metrics_is_of_primitives(enum wr_metric metric);
bool wr_metrics_is_of_upstreams(enum wr_metric metric);

/// Makes the series whose labels are known before anything happens, from 0. The master, at its
/// start.
void wr_metrics_begin(struct wr_arena *a);

/// Appends name and help of the families that have no series yet: those not in `told`.
bool wr_metrics_silent(const bool told[WR_METRICS], struct wr_buf *out);
