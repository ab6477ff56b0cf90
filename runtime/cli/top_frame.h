#pragma once
/// One picture of `weir top` as lines of text.

#include "cli/snapshot.h"
#include "cli/style.h"
#include "cli/top_events.h"

enum { WR_TOP_HISTORY = 60 };

/// What a picture is made of.
struct wr_top_view {
  const json_t *status; ///< NULL before the first answer
  struct wr_snapshot now;
  struct wr_top_events events;
  double history[WR_TOP_HISTORY]; ///< requests a second, a ring
  size_t seconds;                 ///< ever put there
  const char *trouble;            ///< why there is no newer status; NULL: there is one
  bool is_paused;
};

/// The first lines: state, rates, percentiles; load; the process; requests a second of the last
/// minute as blocks; what is wrong. `style` may be of another stream than `out`.
void wr_top_frame_head(const struct wr_top_view *v, FILE *out, const struct wr_style *style);

/// The tables: routes, attempts, breakers, upstreams, limits.
void wr_top_frame_body(const struct wr_top_view *v, FILE *out, const struct wr_style *style);
