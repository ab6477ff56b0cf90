#pragma once
/// Histograms of the series table as OTLP's, with exemplars: of classic buckets, or, where the
/// environment wants that, exponential ones of those in seconds.

#include "arena/series.h"
#include "observe/otlp_points.h"

/// What the fine buckets of all series have counted in all: they count modulo 2^32, and what is
/// exported must not go back. The master's.
struct wr_otlp_totals {
  struct wr_otlp_total **rows; ///< private: by series; NULL: not exported yet
  uint32_t count;              ///< private
};

/// Adds a record, or some, for each family of histograms.
void wr_otlp_histograms_write(struct wr_otlp_points *p);

/// Frees them.
void wr_otlp_totals_fini(struct wr_otlp_totals *t);
