#pragma once
/// Tasks: a request, a background job or a child of `race`/`all`, each one Lua coroutine.
///
/// A binding that waits does three things: it fills a `wr_op`, starts the work, and returns
/// `wr_task_suspend(L, op, …)`. When the work completes it pushes its results on the coroutine and
/// calls `wr_task_resume` exactly once. If the time limit or the
/// ambient deadline comes first, or the task is cancelled, `op->cancel` is called instead and the
/// work must be gone when it returns.
///
/// A task owns a scope: what it opened (deadline frames, tickets) in order, its children, its
/// pending operation. However it ends, all of it is released: tickets settle as cancelled, nothing
/// leaks. Coroutines are pooled. One worker's loop; all of its tasks run at the end of a turn.

#include "loop/timer.h"
#include "script/chain.h"
#include "script/guard.h"
#include "script/relief.h"
#include "script/scope.h"
#include "script/script.h"
#include "upstream/tried.h"

struct wr_trail;
struct wr_upstream;

/// A pending operation; embed it in the state of the waiting work.
struct wr_op {
  const char *name;                 ///< constant: what it waits for, for status pages
  struct wr_task *task;             ///< read-only: set by wr_task_suspend
  void (*cancel)(struct wr_op *op); ///< stops the work at once; must not resume
  /// Its own limit (not the ambient deadline) came: resumes the task itself. NULL: cancel, then the
  /// coroutine gets a timeout error.
  void (*expire)(struct wr_op *op);
  /// The ambient deadline came: ends the work and resumes the task with an error that knows more
  /// than `error` does. NULL: cancel, then the coroutine gets `error`.
  void (*fail)(struct wr_op *op, const struct wr_error *error);
};

/// What the attempts of one hedged call share. Owned by the call, which outlives its tasks.
struct wr_attempts {
  struct wr_attempts *outer; ///< of the hedged call that this one is a part of; may be NULL
  struct wr_tried tried;     ///< endpoints that its calls without a request met
  bool is_unsafe;            ///< one of them must not be made twice
};

/// How a task ended. `values` results lie on top of the coroutine's stack.
enum wr_task_end { WR_TASK_RETURNED, WR_TASK_RAISED, WR_TASK_CANCELLED };

struct wr_task {
  struct wr_list link; // in script->tasks or idle
  struct wr_script *script;
  lua_State *co;          ///< the coroutine
  int co_ref;             // anchors it in the registry
  struct wr_op *op;       ///< pending operation, NULL while running
  struct wr_op sleep;     // the operation of wr_task_sleep
  struct wr_op wait;      // the operation of a place in a queue:
  struct wr_list waiting; // in script->waiting, or in script->relief
  uint64_t wait_id;
  struct wr_entry *wait_entry;
  struct wr_guard_ask wait_ask;
  const char *wait_policy; // whose layer waits, held by that layer's closure; NULL: not said
  const struct wr_bind_label *wait_label; // the same in words of the meter, of a plan; NULL
  uint64_t wait_since_ns;                 // when it asked last
  const struct wr_plan *plan;             // layers that are being entered (bind_plan.c), or NULL:
  size_t plan_at;                         // how many of them were
  size_t plan_base;                       // depth of the scope before them
  struct wr_timer timer;                  // the nearer of operation limit and deadline
  uint64_t op_limit_ns; // the operation's own limit if that is what the timer is for, else 0
  uint64_t deadline_ns; ///< ambient; UINT64_MAX without one
  enum wr_error_kind deadline_expiry; ///< timeout or deadline: which word its expiry bears
  struct wr_scope *scopes;
  size_t scope_count, scope_cap;
  struct wr_list responses; ///< what it made and nobody took
  struct wr_task *parent;
  struct wr_list children;
  struct wr_list sibling;
  int nesting;                  // how many parents it has
  struct wr_deferred runner;    // what starts it, or goes on with it, at the end of the turn:
  int values;                   // with so many on the coroutine's stack
  int layer;                    ///< link of the layer that it is inside of; WR_CHAIN_NONE: of none
  struct wr_attempts *attempts; ///< of the hedged call that it works for; NULL: none
  bool is_extra;                ///< it is a hedge: it may send only what can be sent twice
  uint8_t priority; ///< enum wr_priority: how important its calls are; children inherit it
  bool is_next;     // private to turn.c: it was put off once
  bool is_running;
  bool is_cancelled;            // cancelled from inside its own run
  struct wr_relief_case relief; // of a wait for the collector
  enum wr_vm_stop stop;         ///< RAISED: whether a limit took it off the processor
  uint64_t burst_ns;            ///< then: how long it had been in Lua, at most
  struct wr_trail *trail;       ///< decisions of the request this belongs to; may be NULL
  void (*on_end)(struct wr_task *t, enum wr_task_end end, int values);
  void *ctx; ///< the owner's
};

/// Makes a task from a function and `nargs` arguments on top of L's stack (popped). `parent` (may
/// be NULL) passes on its deadline and trail and cancels it at its own end. NULL with a set error
/// at the task limit.
struct wr_task *wr_task_new(struct wr_script *s, lua_State *L, int nargs, struct wr_task *parent,
                            struct wr_error *error);

/// Runs a fresh task at the end of this turn, up to its first suspension.
void wr_task_start(struct wr_task *t);

/// Runs a fresh task in the next turn: the loop turns however long a chain of them is. From
/// anywhere.
void wr_task_start_next(struct wr_task *t);

/// Suspends the running task on `op`, at most `limit_ns` (0: only the ambient deadline). Returns
/// what the binding must return. Raises when suspension is not possible here (at load).
int wr_task_suspend(lua_State *L, struct wr_op *op, uint64_t limit_ns);

/// Raises a Lua error unless the caller runs inside a task. Call before starting any work.
struct wr_task *wr_task_require(lua_State *L, const char *what);

/// From an operation's `expire` that did not resume: waits on, for `limit_ns` (0: only for the
/// ambient deadline).
void wr_task_wait_on(struct wr_task *t, uint64_t limit_ns);

/// Suspends the running task for `for_ns`; the coroutine gets true, or nil and the deadline's
/// error.
int wr_task_sleep(lua_State *L, uint64_t for_ns);

/// Completes the pending operation: `nresults` values lie on top of the coroutine `t->co`, which
/// goes on at the end of this turn.
void wr_task_resume(struct wr_task *t, int nresults);

/// Completes the pending operation with `nil, err`.
void wr_task_resume_error(struct wr_task *t, const struct wr_error *error);

/// Ends it wherever it is; `on_end` is told (CANCELLED) unless it is already over.
void wr_task_cancel(struct wr_task *t);

/// The ambient deadline's remaining time; UINT64_MAX without one, 0 when it is over.
uint64_t wr_task_remaining(const struct wr_task *t);

/// Fills `error` with the task's own expiry (kind and message), as a wait would report it now.
void wr_task_expired(const struct wr_task *t, struct wr_error *error);

/// Adds what was just decided to the chain of decisions of its request; see wr_chain_add. NULL,
/// too, for a task (NULL is fine) that is not for a request. `name` outlives the generation.
struct wr_chain_link *wr_task_note(struct wr_task *t, enum wr_decision what, struct wr_str name);

/// The same with a copy of `name`.
struct wr_chain_link *wr_task_note_copy(struct wr_task *t, enum wr_decision what, const char *name);

/// Moves the responses that `from` made to `to`: a child's result outlives the child.
void wr_task_hand_over(struct wr_task *from, struct wr_task *to);

/// For wr_script_free: frees the coroutines kept for reuse.
void wr_task_free_idle(struct wr_script *s);
