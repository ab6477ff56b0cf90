#pragma once
/// The last traced value of each bucket of the histogram of requests, one list in each slot: which
/// trace a figure of a scrape is an example of. One writer, the slot's process; readers anywhere.

#include <stdbool.h>
#include <stdint.h>

enum {
  WR_EXEMPLAR_TRACE = 33, ///< a trace id's text with its NUL
  WR_EXEMPLAR_SPAN = 17,  ///< a span id's
};

/// What one says.
struct wr_exemplar_view {
  double value;
  uint64_t wall_ns; ///< when it was seen: Unix time
  char trace_id[WR_EXEMPLAR_TRACE];
  char span_id[WR_EXEMPLAR_SPAN];
};

struct wr_exemplar {
  _Atomic uint32_t version;     ///< private: odd while it is written, 0: never was
  uint32_t series;              ///< private
  struct wr_exemplar_view what; ///< private
};

/// Replaces it.
void wr_exemplar_put(struct wr_exemplar *e, uint32_t series, const struct wr_exemplar_view *what);

/// Reads it if it is of that series. False too when it is just being replaced: that is no matter.
bool wr_exemplar_get(struct wr_exemplar *e, uint32_t series, struct wr_exemplar_view *out);
