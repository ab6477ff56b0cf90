#pragma once
/// Lines that say the same again and again: a few of them are written, the others counted.
///
/// The same is: the same event and message. Of each WR_LOG_REPEATS_SHOWN are written within
/// WR_LOG_REPEATS_NS from the first on; when that time is over a line `log.repeats` tells how many
/// were not. For errors of scripts and their like, of which there may be as many as requests.

#include "base/log.h"

enum {
  WR_LOG_REPEATS_SHOWN = 5,  ///< lines of the same content
  WR_LOG_REPEATS_ROWS = 64,  ///< contents that are known at once; an older one is told of early
  WR_LOG_REPEATS_TEXT = 120, ///< bytes of a message that are kept for its count
};

#define WR_LOG_REPEATS_NS (10 * UINT64_C(1000000000))

struct wr_log_repeat {
  uint64_t hash;     ///< 0: free
  uint64_t until_ns; ///< monotonic
  uint32_t shown, hidden;
  const char *event; ///< constant text
  char message[WR_LOG_REPEATS_TEXT];
};

/// All zero: nothing was said yet.
struct wr_log_repeats {
  struct wr_log_repeat rows[WR_LOG_REPEATS_ROWS];
};

/// Starts a line as wr_log_begin does, with its message in place; NULL also when it was said often
/// enough. `now_ns` is monotonic.
struct wr_json *wr_log_repeats_begin(struct wr_log_repeats *r, struct wr_log *log,
                                     const char *event, struct wr_str message, uint64_t now_ns);

/// Tells of the counts whose time is over; now and then. UINT64_MAX: of all.
void wr_log_repeats_settle(struct wr_log_repeats *r, struct wr_log *log, uint64_t now_ns);
