#pragma once
/// The first ring around runaway scripts (DESIGN §7): interrupts a task that has been inside Lua
/// for longer than its burst limit, while the worker's loop stands still behind it, and one whose
/// request has used up its budget of processor time.
///
/// A timer on the process's CPU time raises a signal every WR_WATCHDOG_TICK_NS; its handler finds
/// the same run under way again and again, and arms the VM's hook. What a request has used is
/// counted around each of its runs with the processor's own counter, which costs next to nothing.
/// An idle worker gets no signals. A turn of the loop in which many tasks run in turn may be long:
/// the handler beats the worker's heart for each new run that it finds. What even the hook cannot
/// stop (a long C function) is the master's, which sees the heartbeat stop. One per worker, on its
/// only thread.

#include "base/cycles.h"
#include "base/duration.h"
#include "base/error.h"

#include <signal.h>
#include <time.h>

struct wr_slot;
struct wr_task;

#define WR_WATCHDOG_TICK_NS (4 * WR_MS)     ///< of CPU time; a tick of most kernels
#define WR_WATCHDOG_BURST_NS (50 * WR_MS)   ///< script_burst: in one go
#define WR_WATCHDOG_BUDGET_NS (500 * WR_MS) ///< script_budget: all bursts of a request

struct wr_watchdog {
  timer_t timer;
  bool is_started;
  struct wr_slot *slot;          // whose heart beats
  struct wr_task *volatile task; // what runs now, NULL outside of Lua
  volatile sig_atomic_t ticks;   // seen by the handler during this run
  volatile uint64_t last_ns;     // CPU time when it was read last
  volatile uint64_t from_ns;     // and when this run began, or a tick before; once it saw a tick
  uint64_t began;                // counter at the entry
  uint64_t spent;                // by the last run, in cycles
  uint64_t budget;               // script_budget in cycles
  uint64_t tick;                 // a tick in cycles
};

/// Starts ticking; takes over SIGVTALRM. `w` must not move. `slot` is the worker's. False with a
/// set error.
bool wr_watchdog_start(struct wr_watchdog *w, struct wr_slot *slot, struct wr_error *error);

/// Stops ticking. A zeroed `w` may be stopped.
void wr_watchdog_stop(struct wr_watchdog *w);

/// Lua of task `t` begins to run. `w` may be NULL.
static inline void wr_watchdog_enter(struct wr_watchdog *w, struct wr_task *t)
{
  if (w == NULL) return;
  w->ticks = 0;
  w->began = wr_cycles();
  w->task = t;
}

/// Takes from a long run what it did not have the processor for. Private.
void wr_watchdog_correct(struct wr_watchdog *w);

/// It has come back: how many cycles it took.
static inline uint64_t wr_watchdog_leave(struct wr_watchdog *w)
{
  if (w == NULL) return 0;
  w->task = NULL;
  w->spent = wr_cycles() - w->began;
  if (w->spent > w->tick) wr_watchdog_correct(w);
  return w->spent;
}

/// Whether a request that took so many cycles in all has used up its budget.
static inline bool wr_watchdog_is_spent(const struct wr_watchdog *w, uint64_t cycles)
{
  return w != NULL && cycles >= w->budget;
}

/// How long the run that has just come back was inside Lua; 0 when `w` is NULL.
uint64_t wr_watchdog_burst(const struct wr_watchdog *w);

/// Cycles in nanoseconds; 0 when `w` is NULL.
uint64_t wr_watchdog_ns(const struct wr_watchdog *w, uint64_t cycles);
