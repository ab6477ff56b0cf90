#pragma once
/// What a task has opened and must close, in reverse order: frames of time, admissions, retries. It
/// also is where the task is in the layers of its policies, which the chain of decisions tells. The
/// worker's loop, in the task's name.

#include "base/error.h"
#include "script/chain.h"

struct wr_task;

enum wr_scope_kind { WR_SCOPE_DEADLINE, WR_SCOPE_TICKET, WR_SCOPE_RETRY };

/// One thing opened by a task, undone in reverse order.
struct wr_scope {
  enum wr_scope_kind kind;
  enum wr_error_kind expiry;   ///< DEADLINE: what was in force before
  uint64_t deadline_ns;        ///< DEADLINE: what was in force before
  uint64_t started_ns;         ///< TICKET: when it was admitted
  uint64_t attempt_timeout_ns; ///< TICKET: limit of the attempts behind it, 0 when it states none
  uint64_t ticket;             ///< TICKET
  int link;                    ///< its link in the chain of decisions; WR_CHAIN_NONE
  int outer;                   ///< `layer` of the task before
  const void *retry;           ///< RETRY: the retry whose attempts run
};

/// Opens a deadline frame `after_ns` from now, unless the ambient one is nearer.
void wr_scope_push_deadline(struct wr_task *t, uint64_t after_ns, enum wr_error_kind expiry);

/// Puts an admission under the task's care. `attempt_timeout_ns`: see wr_ticket_outcome.
void wr_scope_push_ticket(struct wr_task *t, uint64_t ticket, uint64_t attempt_timeout_ns);

/// Notes that attempts of `retry` (bind_retry.c) run from here on. A borrow.
void wr_scope_push_retry(struct wr_task *t, const void *retry);

/// What was opened last is a layer of a policy, inside of which the task is from here on. `link` is
/// what the chain of decisions has of it; NULL is fine.
void wr_scope_enter_layer(struct wr_task *t, const struct wr_chain_link *link);

/// Notes that a layer, which was the innermost and is off the scope, is left.
void wr_scope_leave_layer(struct wr_task *t, const struct wr_scope *scope);

/// Depth of the scope, to come back to with `wr_scope_unwind`.
size_t wr_scope_mark(const struct wr_task *t);

/// Releases everything opened since `mark`, newest first: tickets settle as cancelled.
void wr_scope_unwind(struct wr_task *t, size_t mark);
