#pragma once
/// The loop's second driver: time stands still while anything is to be done, and jumps to the next
/// timer when nothing is, so hours pass in milliseconds, and always in the same way.
///
/// Nothing waits for the world: descriptors are looked at, but no time passes for them. Bounded by
/// a time of the virtual clock and by processor time. One loop's own.

#include "loop/loop.h"

/// Why the loop came back.
enum wr_virtual_end {
  WR_VIRTUAL_STOPPED, ///< `wr_loop_stop`
  WR_VIRTUAL_DRY,     ///< nothing is left that could happen
  WR_VIRTUAL_LATE,    ///< what comes next comes after `until_ns`
  WR_VIRTUAL_SLOW,    ///< the thread's processor time passed `work_until_ns`
};

struct wr_virtual {
  struct wr_loop *loop;
  uint64_t until_ns;       ///< last moment of virtual time; UINT64_MAX: none
  uint64_t work_until_ns;  ///< the same of `wr_loop_processor`
  enum wr_virtual_end end; ///< read-only: of the last run
  bool is_stopping;        // private
};

/// Gives an initialised loop that was not run yet this clock, which must outlive it and starts at
/// the machine's present time. Without bounds.
void wr_virtual_init(struct wr_virtual *v, struct wr_loop *l);

/// For loop.c: turns until there is a reason to come back.
void wr_virtual_run(struct wr_virtual *v);

/// For loop.c: comes back after this turn.
void wr_virtual_stop(struct wr_virtual *v);
