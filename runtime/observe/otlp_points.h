#pragma once
/// Metrics of OTLP as records: a family's points, some together. For otlp_metrics.c and
/// otlp_histograms.c.

#include "observe/otlp_metrics.h"

/// Field numbers of opentelemetry-proto's Metric: what kind of data it has.
enum wr_otlp_data {
  WR_OTLP_GAUGE = 5,
  WR_OTLP_SUM = 7,
  WR_OTLP_HISTOGRAM = 9,
  WR_OTLP_EXPONENTIAL = 10,
  WR_OTLP_SUMMARY = 11,
};

/// A family whose points come.
struct wr_otlp_points {
  struct wr_otlp_metrics *m;
  struct wr_otlp_writer *w; ///< while a point is open: writes its fields
  struct wr_str name, help; ///< as Prometheus has them
  enum wr_otlp_data data;
  uint32_t count; // private: of the record that is open
  bool is_open;   // private
};

/// Begins another family; `name` and `help` stay the caller's.
void wr_otlp_points_family(struct wr_otlp_points *p, struct wr_str name, struct wr_str help,
                           enum wr_otlp_data data);

/// Begins and ends a point; its times are written.
void wr_otlp_points_open(struct wr_otlp_points *p);
void wr_otlp_points_close(struct wr_otlp_points *p);

/// Writes the labels, as the text format has them, in `field` of the open point.
void wr_otlp_points_labels(struct wr_otlp_points *p, uint32_t field, struct wr_str labels);

/// Takes `name="value"` and the comma behind it off `*rest`. False at the end.
bool wr_otlp_points_next_label(struct wr_str *rest, struct wr_str *name, struct wr_str *value);

/// Ends the record of the last family.
void wr_otlp_points_end(struct wr_otlp_points *p);
