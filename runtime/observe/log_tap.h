#pragma once
/// Log lines for those who follow them in other processes: events always, whatever the log level;
/// access lines and those of scripts, which are many, while somebody wants them.

#include "arena/arena.h"
#include "base/log.h"
#include "loop/loop.h"

struct wr_log_tapped {
  struct wr_log_tap tap; ///< private
  struct wr_arena *arena;
  const struct wr_loop *loop;
  uint32_t slot;
};

/// Copies the lines of `log` to the journal of `slot`, which is the calling process's. All of them
/// stay the caller's and live as long as the log.
void wr_log_tap_open(struct wr_log_tapped *t, struct wr_log *log, struct wr_arena *a, uint32_t slot,
                     const struct wr_loop *l);
