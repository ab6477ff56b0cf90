#pragma once
/// How grave a log line must be to be written, as an operator says while weir runs.
///
/// The order is in the master's slot of the arena, so that it holds for workers that come later;
/// each process looks there ten times a second. It lasts until it is taken back, or weir ends.

#include "arena/arena.h"
#include "base/log.h"

/// Orders a level. Any process.
void wr_loudness_order(const struct wr_arena *a, enum wr_log_level level);

/// Takes the order back: each process writes what it was started to.
void wr_loudness_reset(const struct wr_arena *a);

/// The level in force for a process that was started with `own`.
enum wr_log_level wr_loudness_level(const struct wr_arena *a, enum wr_log_level own);
