#pragma once
/// A response whose body arrives badly: slowly, or cut short.
///
/// Stands between a response and whoever reads it, as a transfer of its own would. Back-pressure,
/// cancellation and the length that was promised pass through, so a body that is cut is seen as
/// incomplete by everybody behind. One worker's loop.

#include "script/response.h"

struct wr_disturb_options {
  bool cuts;
  uint64_t cut_after; ///< bytes of body that arrive, all but one at most; then a reset. When `cuts`
  uint64_t bytes_per_s; ///< 0: as they come
};

/// A new response of task `t` with the head of `r` and its body, disturbed. `r` has a head and
/// nobody reads it; it belongs to the new one from now on.
struct wr_response *wr_disturb(struct wr_response *r, struct wr_task *t,
                               const struct wr_disturb_options *options);
