#pragma once
/// The last traced value of each bucket of the histogram of requests, one list in each slot: which
/// trace a figure of a scrape is an example of. One writer, the slot's process; readers anywhere.

#include <stdbool.h>
#include <stdint.h>

enum { WR_EXEMPLAR_TRACE = 33 }; ///< a trace id's text with its NUL

struct wr_exemplar {
  _Atomic uint32_t version;         ///< private: odd while it is written, 0: never was
  uint32_t series;                  ///< private
  double value;                     ///< private
  char trace_id[WR_EXEMPLAR_TRACE]; ///< private
};

/// What was read of one.
struct wr_exemplar_view {
  double value;
  char trace_id[WR_EXEMPLAR_TRACE];
};

/// Replaces it. `trace_id` has WR_EXEMPLAR_TRACE - 1 characters.
void wr_exemplar_put(struct wr_exemplar *e, uint32_t series, double value, const char *trace_id);

/// Reads it if it is of that series. False too when it is just being replaced: that is no matter.
bool wr_exemplar_get(struct wr_exemplar *e, uint32_t series, struct wr_exemplar_view *out);
