#pragma once
/// The event loop: the only place that knows the time, waits, or talks to libuv.
///
/// A turn: wait for descriptors and timers, read the clock once, run the callbacks of descriptors,
/// run what was deferred to the end of the turn, and the same for timers: what has come is looked
/// at before it can be late. Everything above gets time from `wr_loop_now` and nowhere else,
/// so that a second driver with a virtual clock stands behind this interface (`virtual.h`).
///
/// libuv's law, restated: memory that embeds a handle (`wr_io`, `wr_watch`) is given back only in
/// its close callback. Handles are counted; `wr_loop_fini` names the ones left open. One thread and
/// one process use a loop; a forked child makes its own.

#include "base/heap.h"
#include "base/list.h"

#include <stdint.h>
#include <uv.h>

struct wr_virtual;

struct wr_loop {
  uv_loop_t uv;            // private
  uv_timer_t uv_timer;     // private: the only uv timer; carries the heap below
  uv_check_t uv_check;     // private: descriptors have had their callbacks
  uv_prepare_t uv_prepare; // private: end of a turn
  struct wr_heap timers;   // private
  size_t timers_paused;    // private: of them, those that will not fire
  struct wr_list deferred; // private
  struct wr_list handles;  // private: open wr_io and wr_watch
  uint64_t armed_ns;       // private: deadline the uv timer is set to
  uint64_t now_ns;         // private: cached, see wr_loop_now
  uint64_t turn_ns;        ///< read-only: how long the callbacks of the last turn ran (loop lag)
  uint64_t turns;          ///< read-only
  void (*on_turn)(struct wr_loop *l, void *ctx); ///< optional: called at the end of every turn
  void *on_turn_ctx;
  bool in_turn;             // private: the clock was read in this turn
  struct wr_virtual *clock; // private: of virtual time; NULL: the machine's
};

/// Common head of every handle: what it is and where it hangs.
struct wr_handle {
  struct wr_list link;
  struct wr_loop *loop;
  const char *name; ///< constant text, for the leak report
};

/// Work for the end of this turn; embed it. Runs once per `wr_loop_defer`. What has the same `run`
/// runs in a row, in the order of deferring; between different ones there is no order.
struct wr_deferred {
  struct wr_list link;
  void (*run)(struct wr_deferred *d);
};

/// 0, or a negative libuv error.
int wr_loop_init(struct wr_loop *l);

/// Closes the loop's own handles. Writes the names of handles still open to `report` (at most
/// `size` bytes, NUL-terminated, may be NULL) and returns their number: 0 is clean.
size_t wr_loop_fini(struct wr_loop *l, char *report, size_t size);

/// Turns until `wr_loop_stop`, or until nothing is left to wait for.
void wr_loop_run(struct wr_loop *l);

/// Ends `wr_loop_run` after this turn.
void wr_loop_stop(struct wr_loop *l);

/// Monotonic nanoseconds, the same value during one turn.
static inline uint64_t wr_loop_now(const struct wr_loop *l)
{
  return l->now_ns;
}

/// Nanoseconds since 1970 for stamps and dates only; never for measuring.
uint64_t wr_loop_wall(void);

/// A fresh monotonic reading, for measuring work inside one turn (script budgets), not for
/// deadlines.
uint64_t wr_loop_clock(void);

/// Nanoseconds that this thread has had of a processor: for budgets of work, which a machine that
/// is busy with others must not shorten.
uint64_t wr_loop_processor(void);

/// A seed for the worker's generator, from the operating system.
uint64_t wr_loop_entropy(void);

/// Runs `d` at the end of this turn; again before then is a no-op.
void wr_loop_defer(struct wr_loop *l, struct wr_deferred *d);

/// Withdraws `d`; nothing happens when it was not deferred.
void wr_loop_undefer(struct wr_deferred *d);

/// Prepares a `wr_deferred` for its first use.
void wr_deferred_init(struct wr_deferred *d, void (*run)(struct wr_deferred *d));

/// For the files of loop/: refreshes the clock at the first callback of a turn, and ends it.
void wr_loop_tick(struct wr_loop *l);
void wr_loop_end_turn(struct wr_loop *l);

/// Version of the libuv in use.
const char *wr_loop_library_version(void);
