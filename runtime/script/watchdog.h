#pragma once
/// The first ring around runaway scripts (DESIGN §7): interrupts a task that has been inside Lua
/// for longer than its burst limit, while the worker's loop stands still behind it.
///
/// A timer on the process's CPU time raises a signal every WR_WATCHDOG_TICK_NS; its handler finds
/// the same run under way for the fifth time and arms the VM's hook. An idle worker gets no
/// signals, and an entry into Lua costs two stores, no clock is read. What even the hook cannot
/// stop (a long C function) is the master's, which sees the heartbeat stop. One per worker, on its
/// only thread.

#include "base/error.h"

#include <signal.h>
#include <time.h>

struct wr_vm;

#define WR_WATCHDOG_TICK_NS 10000000L ///< 10 ms of CPU time
enum { WR_WATCHDOG_BURST_TICKS = 5 }; ///< script_burst: 50 ms in one go

struct wr_watchdog {
  timer_t timer;
  bool is_started;
  struct wr_vm *volatile vm;   // what runs now, NULL outside of Lua
  volatile sig_atomic_t ticks; // seen by the handler during this run
};

/// Starts ticking; takes over SIGVTALRM. `w` must not move. False with a set error.
bool wr_watchdog_start(struct wr_watchdog *w, struct wr_error *error);

/// Stops ticking. A zeroed `w` may be stopped.
void wr_watchdog_stop(struct wr_watchdog *w);

/// Lua of `vm` begins to run, and has come back. `w` may be NULL.
static inline void wr_watchdog_enter(struct wr_watchdog *w, struct wr_vm *vm)
{
  if (w == NULL) return;
  w->ticks = 0;
  w->vm = vm;
}

static inline void wr_watchdog_leave(struct wr_watchdog *w)
{
  if (w != NULL) w->vm = NULL;
}
