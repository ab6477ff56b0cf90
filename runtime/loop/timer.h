#pragma once
/// One-shot timers, embedded in their owner, all carried by the loop's single uv timer.
///
/// A timer may be stopped or restarted anywhere, its own callback included; its memory may be freed
/// as soon as it is stopped. Deadlines are absolute nanoseconds of `wr_loop_now`; firing is up to a
/// millisecond late, never early.

#include "loop/loop.h"

struct wr_timer {
  struct wr_heap_node node; // private: when it is looked at
  struct wr_loop *loop;     // private
  uint64_t due_ns;          // private: when it fires; not before it is looked at
  void (*on_fire)(struct wr_timer *t);
};

/// Prepares a stopped timer.
void wr_timer_init(struct wr_timer *t, struct wr_loop *l, void (*on_fire)(struct wr_timer *t));

/// Fires once at `at_ns`; a running timer moves there. UINT64_MAX: never, as if paused.
void wr_timer_start_at(struct wr_timer *t, uint64_t at_ns);

/// Fires once `after_ns` from now; a running timer moves there.
void wr_timer_start(struct wr_timer *t, uint64_t after_ns);

/// Stops it; nothing happens when it is not running.
void wr_timer_stop(struct wr_timer *t);

/// Stops it and keeps its place: for one that is started again before long and mostly never fires,
/// which then costs no work on the heap. It keeps no loop running. Before its memory goes it has to
/// be stopped.
void wr_timer_pause(struct wr_timer *t);

/// Will it fire?
bool wr_timer_is_running(const struct wr_timer *t);

/// For loop.c: points the uv timer at the earliest deadline.
void wr_timer_rearm(struct wr_loop *l);

/// For virtual.c: when to look at the timers again, UINT64_MAX: there is none that will fire; and
/// looks at those whose time has come.
uint64_t wr_timer_next(const struct wr_loop *l);
void wr_timer_fire_due(struct wr_loop *l);
