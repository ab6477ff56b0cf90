#pragma once
/// What the last ten seconds were like: rates, errors and percentiles by route and by upstream,
/// from the differences of the metric series. For pages that show the present; a metrics system has
/// the past. The master's only thread.

#include "arena/series.h"
#include "base/json.h"
#include "base/list.h"

enum {
  WR_TRAFFIC_WINDOW = 10,                     ///< seconds
  WR_TRAFFIC_SAMPLES = WR_TRAFFIC_WINDOW + 1, ///< one each second, both ends of the window
  WR_TRAFFIC_SHOWN = 100,                     ///< routes on a page, the busiest ones
};

/// What had been counted at one moment.
struct wr_traffic_sample {
  uint64_t requests;
  uint64_t errors;               ///< answered with 5xx; attempts: or not at all
  double sum;                    ///< of their durations, in seconds
  uint32_t fine[WR_SERIES_FINE]; ///< as of struct wr_series_histogram
};

/// The series of one histogram family that have one route, or one upstream, in common.
struct wr_traffic_group {
  struct wr_list link;
  const struct wr_family *family;
  uint32_t family_number;
  struct wr_str name; ///< as it stands in the labels, escaped
  struct wr_traffic_sample samples[WR_TRAFFIC_SAMPLES];
};

/// One series of a family of counters, or of gauges.
struct wr_traffic_counter {
  struct wr_list link;
  uint32_t family_number;
  bool is_gauge;
  struct wr_str name, word; ///< its two labels, as they stand there
  double values[WR_TRAFFIC_SAMPLES];
};

/// What a series belongs to. Private to traffic.c.
struct wr_traffic_owner;

struct wr_traffic {
  const struct wr_arena *arena;
  uint64_t taken;                     ///< samples so far
  uint64_t at_ns[WR_TRAFFIC_SAMPLES]; ///< when
  struct wr_list groups;              ///< struct wr_traffic_group
  struct wr_list counters;            ///< struct wr_traffic_counter
  struct wr_traffic_owner *owners;    // private: by number of series
  uint32_t owner_count;               // private
};

/// Nothing was seen yet.
void wr_traffic_init(struct wr_traffic *t, const struct wr_arena *a);

/// Frees what was remembered.
void wr_traffic_fini(struct wr_traffic *t);

/// Takes a sample when there is none yet, or the last one is a second old. `now_ns` grows from call
/// to call; to be called some times a second.
void wr_traffic_tick(struct wr_traffic *t, uint64_t now_ns);

/// The places of the window's ends in the samples; equal before the second sample.
uint32_t wr_traffic_newest(const struct wr_traffic *t);
uint32_t wr_traffic_oldest(const struct wr_traffic *t);

/// Length of the window in seconds, 0 before the second sample.
double wr_traffic_window(const struct wr_traffic *t);
