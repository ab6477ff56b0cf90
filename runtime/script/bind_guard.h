#pragma once
/// Primitives that admit calls in scripts: what C calls back, and what the bindings of single kinds
/// share.

#include "script/guard.h"
#include "script/task.h"

/// What a layer of a plan is called in the chain of decisions; words of the meter. Its policy may
/// be empty.
struct wr_bind_label {
  struct wr_str kind, name, policy;
};

/// The task waiting in a queue was admitted, or refused.
void wr_bind_guard_granted(struct wr_task *t, bool granted);

/// Asks a primitive for the running task and waits in its queue when it has one. Returns what the
/// binding must return (t->wait_policy is set: whose layer asks): the admission's depth for
/// core.leave, or true when nothing is held; or nil and an error.
int wr_bind_guard_enter(lua_State *L, struct wr_task *t, struct wr_entry *entry,
                        struct wr_guard_ask *ask);

/// Adds to the chain of decisions of `t` (NULL: there is none) what `entry` said to the call that
/// was asked for last (wr_bind_guard_ask). NULL: nothing is kept.
struct wr_chain_link *wr_bind_guard_note(struct wr_task *t, const struct wr_entry *entry,
                                         struct wr_str result);

/// Pushes nil and the error of a refusal by `entry`, and notes it on the request's trail. `t` may
/// be NULL; `policy` is whose layer asked, NULL: the one that the primitive is named after. Returns
/// 2.
int wr_bind_guard_refuse(lua_State *L, struct wr_task *t, const struct wr_entry *entry,
                         const char *policy, struct wr_error *refusal);

/// The hash of the key at `index`; 0 when there is none.
uint64_t wr_bind_guard_key(lua_State *L, int index);

/// What the running task asks a primitive for, for a layer of `policy` (NULL: not said; held by who
/// asks): one call, until its deadline. `label` says the same, once for all calls; or NULL.
struct wr_guard_ask wr_bind_guard_ask(struct wr_task *t, const char *policy,
                                      const struct wr_bind_label *label);

/// Asks. ADMITTED: the admission is in the task's scope, unless it holds nothing. REFUSED: nil and
/// an error are pushed. QUEUED: t->wait is what to suspend on, for wr_bind_guard_wait.
enum wr_guard_admission wr_bind_guard_try(lua_State *L, struct wr_task *t, struct wr_entry *entry,
                                          struct wr_guard_ask *ask);

/// How long a task that queues may wait, in ns from now.
uint64_t wr_bind_guard_wait(const struct wr_task *t);

/// Settles an admission that was taken off the scope with a call's results, a value at `index` and
/// its error behind it. That of a response still arriving follows it to its last byte.
void wr_bind_guard_settle(lua_State *L, struct wr_task *t, const struct wr_scope *scope, int index);
