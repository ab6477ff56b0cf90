#pragma once
/// Tasks that have reached a limit of the state's memory, and wait until it is known whether what
/// they took is garbage.
///
/// A collection of all that one request may take is tens of milliseconds, which nobody else on the
/// worker should wait for: it goes in slices, one in a turn of the loop. Each task sits out two
/// cycles, since the one under way may have passed what is garbage by now, and is then judged: it
/// goes on, or is stopped where it stands. A script has one of these. Its worker's loop.

#include "base/list.h"
#include "loop/timer.h"
#include "script/vm.h"

#include <stddef.h>

struct wr_script;
struct wr_task;

struct wr_relief {
  struct wr_timer timer;  // private
  struct wr_list waiting; // private
};

/// What a task that waits here took. A member of it.
struct wr_relief_case {
  enum wr_vm_stop why;     // private: what brought it here
  size_t grown;            // private: when it came here
  size_t used;             // private: what the state held then
  int cycles;              // private: that it still sits out
  enum wr_vm_stop verdict; ///< for its next run; WR_VM_RUNS: none
};

/// After a collection: whether a request that has kept `kept` bytes of what it took has passed
/// script_growth, should it have been looked at for that (`why`), or the state script_memory. RUNS:
/// neither.
enum wr_vm_stop wr_relief_judge(struct wr_vm *vm, enum wr_vm_stop why, size_t kept);

/// Nobody waits yet. `s` has its loop.
void wr_relief_init(struct wr_script *s);

/// No task may wait any more.
void wr_relief_fini(struct wr_script *s);

/// The hook has paused `t` (paused_for), which had grown by `grown`: goes on with it later, by
/// its runner. Deadlines see it then.
void wr_relief_wait(struct wr_task *t, size_t grown);
