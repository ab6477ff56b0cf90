#pragma once
/// One Lua state with its limits: a generation of scripts in one worker.
///
/// Two worlds share a state. The *library world* (lua/weir) may use raw Lua and the C functions in
/// `weir.core`; the *policy world* sees an allow-listed environment only (lua/weir/core/sandbox.lua
/// is the list) and never runs below a C frame, so that the budget hook can always take it off the
/// processor by yielding. Text chunks only, JIT off (research/reliability.md §0, §7).
///
/// One worker owns a state and uses it from its loop's thread; only `wr_vm_interrupt` may be called
/// from another thread or a signal handler. Nothing here knows tasks: the layer above hangs on
/// `owner` and the functions in `wr_vm_host`.
///
/// Life: `wr_vm_open`, `wr_vm_bind` for each concept, `wr_vm_begin_library`, `wr_vm_begin_load` of
/// the main file, `wr_vm_freeze`, then calls (`wr_vm_call` or tasks) until `wr_vm_wither`, if there
/// is time, and `wr_vm_close`. What takes long in it goes on in slices, so that whoever has other
/// things to do can do them between two.

#include "base/str.h"
#include "script/code.h"
#include "script/vm_heap.h"

#include <lua.h>
#include <stdint.h>

struct wr_library;
struct wr_script_error;

/// Limits of one state. Zero means the default named beside it.
struct wr_vm_limits {
  size_t soft_bytes;   ///< script_memory, 64 MiB: above it the running script is interrupted
  size_t hard_bytes;   ///< 8 x soft: an allocation that would pass it is refused
  size_t growth_bytes; ///< script_growth, soft / 8: what a request may add; past a limit, a piece
                       ///< of a quarter of this is refused
  size_t string_bytes; ///< script_string, 8 MiB: longest result of rep, concat, gsub and JSON
  uint64_t load_ns;    ///< script_load_time, 500 ms of a processor: a main chunk with its modules
};

/// Why a script was taken off the processor.
enum wr_vm_stop {
  WR_VM_RUNS,
  WR_VM_STOP_TIME,   ///< script_burst, or script_load_time during a load
  WR_VM_STOP_BUDGET, ///< script_budget
  WR_VM_STOP_MEMORY, ///< script_memory
  WR_VM_STOP_GROWTH, ///< script_growth
};

/// What a state needs from its owner; each gets `vm->owner` first. Only `clock` is required.
struct wr_vm_host {
  /// A fresh reading of processor time in nanoseconds (`wr_loop_processor`), for the load budget.
  uint64_t (*clock)(void *owner);
  /// Uniform in [0, 1): `math.random` draws from it. Default: always 0.5.
  double (*random)(void *owner);
  /// Finds module `name` ("a.b": letters, digits, '_' and '-' between dots) of the bundle. What is
  /// found stays valid during the call that asked. Default: no bundle.
  bool (*find)(void *owner, struct wr_str name, struct wr_code *out);
  /// Remembers what the task running on `L` holds; called by `pcall` and `xpcall`. Default: 0.
  int (*scope_mark)(void *owner, lua_State *L);
  /// Releases what was opened since `mark`, because an error unwound to there. Must not raise.
  void (*scope_unwind)(void *owner, lua_State *L, int mark);
  /// Takes one line of a policy's `print`, without newline. Default: dropped.
  void (*print)(void *owner, lua_State *L, struct wr_str line);
  /// No function: the library as it was compiled before. Default: each state compiles it.
  const struct wr_library *library;
};

struct wr_vm {
  lua_State *L; ///< read-only: the main thread; policies run in coroutines
  void *owner;  ///< the layer above; also passed to the host functions
  struct wr_vm_host host;
  struct wr_vm_limits limits; ///< read-only: with the defaults filled in
  size_t used_bytes;          ///< read-only: what the state holds now
  size_t mark_bytes;          ///< private: above it the running script is looked at
  ptrdiff_t base_bytes;       ///< private: what it held without the running request
  size_t live_bytes;          ///< private: what it held when it was last judged
  size_t peak_bytes;          ///< read-only
  uint64_t refused;           ///< read-only: allocations the hard cap refused
  uint64_t relieved;          ///< read-only: times a full collection brought use below the soft cap
  bool is_frozen;             ///< read-only
  bool has_stopped;           ///< private: the hook acted on `stop`
  bool has_refused;           ///< private: an allocation was refused since `stop` was set
  char stop_file[128];        ///< where the last interrupted script was, if in a policy: its file
  int stop_line;              ///< and line; 0 otherwise
  const void *raised;         ///< private: the error whose place was noted, see wr_call_note
  char raised_file[128];      ///< private: where it was raised
  int raised_line;            ///< private
  _Atomic int stop;           ///< private: enum wr_vm_stop waiting for the hook
  _Atomic int is_late;        ///< read-only: it waits because of the time, see wr_vm_is_stopping
  uint64_t load_until_ns;     ///< private: end of the load budget, 0 outside of a load
  uint64_t load_left_ns;      ///< private: of the budget, between two slices
  uint64_t slice_until_ns;    ///< private: end of the slice, UINT64_MAX for one without end
  lua_State *loading;         ///< private: the coroutine that loads, NULL: none
  int load_args;              ///< private: what its first resume takes
  bool is_paused;             ///< private: the hook ended the slice
  bool may_pause;             ///< what runs can be put off until a collection is over
  enum wr_vm_stop paused_for; ///< the hook did that, because of the limit of memory
  bool is_judged;             ///< private: `stop` is a verdict
  bool has_cycled;            ///< private: a collection of freeze or wither has ended
  bool is_withering;          ///< private
  struct wr_script_error *catching; ///< private: where wr_vm_call's handler writes
  struct wr_vm_heap heap;           ///< private
  int core_ref;                     ///< private: registry references
  int env_ref;
  int catch_ref;
};

/// Creates the state with both worlds, `weir.core` filled by this folder's own files. `vm` is
/// caller's memory and must not move; `owner`, `host` and `limits` are copied. Zero, or -1 with
/// `err` filled (the limits are too low to start, or the embedded library does not parse); nothing
/// to close then.
int wr_vm_open(struct wr_vm *vm, void *owner, const struct wr_vm_host *host,
               const struct wr_vm_limits *limits, struct wr_script_error *err);

/// Closes the state and frees all of it; collects every userdata. A closed `vm` may be closed
/// again.
void wr_vm_close(struct wr_vm *vm);

/// The `vm` of any thread of its state; never NULL. Costs one load.
static inline struct wr_vm *wr_vm_of(lua_State *L)
{
  void *vm;
  (void)lua_getallocf(L, &vm);
  return (struct wr_vm *)vm;
}

/// Pushes the table that library code gets from `require "weir.core"`.
void wr_vm_core(lua_State *L);

/// Calls `bind` (see script/bind.h) with the core table as its only argument. True, or false with
/// `err` filled.
bool wr_vm_bind(struct wr_vm *vm, lua_CFunction bind, struct wr_script_error *err);

/// How far something that goes on in slices has come.
enum wr_vm_progress {
  WR_VM_FAILED, ///< it is over, `err` says why
  WR_VM_DONE,
  WR_VM_GOES_ON, ///< call again
};

/// Begins to load lua/weir/init.lua; call after all binds. `wr_vm_go_on` does it. False with `err`
/// filled.
bool wr_vm_begin_library(struct wr_vm *vm, struct wr_script_error *err);

/// Begins to run `code` as a main chunk of the policy world, within the load budget. It may not
/// suspend. `wr_vm_go_on` does it. False with `err` filled.
bool wr_vm_begin_load(struct wr_vm *vm, const struct wr_code *code, struct wr_script_error *err);

/// Runs what was begun for about `slice_ns` of processor time (UINT64_MAX: to its end). DONE: its
/// first result (or nil) is pushed on `vm->L`. Whatever a script does, this returns.
enum wr_vm_progress wr_vm_go_on(struct wr_vm *vm, uint64_t slice_ns, struct wr_script_error *err);

/// C has worked for a while on behalf of what is loaded (it compiled a module): whether the slice
/// is over is looked at with the next instruction.
void wr_vm_look_soon(struct wr_vm *vm);

/// Work of C on a script's behalf begins, whose time is not the script's (it has limits of its
/// own): reading certificates. Give the result to `wr_vm_work_end`.
uint64_t wr_vm_work_begin(const struct wr_vm *vm);

/// It is done: the load budget is longer by what it took.
void wr_vm_work_end(struct wr_vm *vm, uint64_t began_ns);

/// Both of it in one go. True with the result pushed; false with `err` filled and nothing pushed.
bool wr_vm_load(struct wr_vm *vm, const struct wr_code *code, struct wr_script_error *err);

/// Ends the time of declarations: from now on a policy that assigns a global raises. Collects
/// garbage, for about `slice_ns` (UINT64_MAX: all of it). False: call again.
bool wr_vm_freeze(struct wr_vm *vm, uint64_t slice_ns);

/// The end is near: nothing may run any more but what collects. Frees for about `slice_ns`, so that
/// `wr_vm_close` has little left to do. False: call again.
bool wr_vm_wither(struct wr_vm *vm, uint64_t slice_ns);

/// Arms the hook: what runs in the state yields (or raises, below a C frame) at its next
/// instruction, again and again until `wr_vm_take_stop`. Callable from any thread and from a signal
/// handler.
void wr_vm_interrupt(struct wr_vm *vm, enum wr_vm_stop why);

/// Whether the hook waits for the next instruction: for C that takes long.
static inline bool wr_vm_is_stopping(const struct wr_vm *vm)
{
  return vm->stop != WR_VM_RUNS;
}

/// Disarms and tells whether, and why, the hook stopped the script that just came back. Call it
/// after every resume, with what that returned: a coroutine that was interrupted must be thrown
/// away, never resumed. One that failed while the hook was armed failed for that: C gave up, or an
/// allocation was refused.
enum wr_vm_stop wr_vm_take_stop(struct wr_vm *vm, int status);

/// A request that grew by `grown` bytes in its runs before is about to run.
static inline void wr_vm_enter(struct wr_vm *vm, size_t grown)
{
  size_t room = vm->limits.growth_bytes - grown; // it ended when it passed the limit
  size_t mark = vm->used_bytes + room;
  vm->base_bytes = (ptrdiff_t)(vm->used_bytes - grown);
  vm->mark_bytes = mark < vm->limits.soft_bytes ? mark : vm->limits.soft_bytes;
}

/// It has come back: by how much it grew in all its runs, collections taken into account. Below
/// script_growth.
static inline size_t wr_vm_leave(struct wr_vm *vm)
{
  ptrdiff_t grown = (ptrdiff_t)vm->used_bytes - vm->base_bytes;
  ptrdiff_t most = (ptrdiff_t)vm->limits.growth_bytes;
  vm->mark_bytes = vm->limits.soft_bytes;
  return (size_t)(grown < 0 ? 0 : grown < most ? grown : most);
}

/// Collects for about `slice_ns`. True: a cycle has ended; the one under way before may have passed
/// what is garbage by now.
bool wr_vm_collect(struct wr_vm *vm, uint64_t slice_ns);

/// Stops what runs next: it was judged.
static inline void wr_vm_sentence(struct wr_vm *vm, enum wr_vm_stop verdict)
{
  vm->is_judged = true;
  wr_vm_interrupt(vm, verdict);
}

/// The word of limits.def for what stopped a script.
const char *wr_vm_stop_limit(enum wr_vm_stop why);

/// Version of the LuaJIT that this was built with.
const char *wr_vm_library_version(void);
