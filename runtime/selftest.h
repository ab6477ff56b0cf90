#pragma once
/// Runs the tests that a bundle brings along (`weir.selftest`): each in a generation, an arena and
/// a time of its own, without a network.
///
/// Time is virtual: it stands still while anything is to be done and jumps to what comes next.
/// State is fresh: nothing that runs knows of it, nor it of what runs. In a child that may loop,
/// bloat or crash. Limits: WR_SELFTEST_TIME_NS of virtual time for each, WR_SELFTEST_WORK_NS for
/// all.

#include "base/duration.h"
#include "services.h"

#define WR_SELFTEST_TIME_NS (3600 * WR_SECOND) ///< of virtual time, for one
#define WR_SELFTEST_WORK_NS (3 * WR_SECOND)    ///< of processor time, for all

struct wr_selftest {
  const struct wr_settings *settings;
  int bundle;                   ///< the packed bundle; a borrow
  uint32_t count;               ///< of its tests
  struct wr_watchdog *watchdog; ///< of this process; a borrow
};

/// Runs all of them, one after the other. False at the first that does not pass, with where and
/// why; its message begins with its name.
bool wr_selftest_run(const struct wr_selftest *tests, struct wr_script_error *failure);
