#pragma once
/// What scripts take of a turn of the loop: no more than one of them may keep the others waiting
/// for as long as a burst.
///
/// Once the runs of a turn took WR_TURN_NS together, the rest runs in the next. A route whose run
/// took that long alone is slow for a while (WR_TURN_SLOW_NS), as is what runs in the background
/// when one of that did: what is slow runs behind all the others that have come, until it has taken
/// as long again. So whoever else is served waits for one burst, however many slow requests wait,
/// while what only looks slow is hardly held up. One per worker, in its wr_script_env; its loop.

#include "base/duration.h"
#include "base/list.h"
#include "loop/timer.h"

struct wr_script_env;
struct wr_task;

#define WR_TURN_NS (10 * WR_MS)          ///< script_turn
#define WR_TURN_SLOW_NS (10 * WR_SECOND) ///< script_slow

enum { WR_TURN_ROUTES_MAX = 32 }; ///< slow routes at once; of more the oldest is forgotten

/// A route that was slow.
struct wr_turn_route {
  const char *route; // a word of the meter; NULL: the background
  uint64_t until_ns;
};

struct wr_turn {
  struct wr_timer timer; // private: the next turn's part
  struct wr_list late;   // private: runners of tasks, put off to the next turn
  struct wr_list slow;   // private: the same of slow routes, behind them
  struct wr_task *first; // private: of the slow, it runs in any case; a name, never looked into
  uint64_t number;       // private: of the turn that `spent` is about
  uint64_t spent;        // private: cycles
  size_t count;          // private
  struct wr_turn_route routes[WR_TURN_ROUTES_MAX]; // private
};

/// Puts the run of `t` off when others go before it: it is run again. True: it must not run now.
bool wr_turn_puts_off(struct wr_script_env *env, struct wr_task *t);

/// A run of `t` took so many cycles (wr_watchdog_leave).
void wr_turn_add(struct wr_script_env *env, const struct wr_task *t, uint64_t cycles);
