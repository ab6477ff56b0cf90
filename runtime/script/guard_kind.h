#pragma once
/// What the guard must know of a kind of primitive that admits calls or moves with the clock.
///
/// One file for each kind, `guard_<kind>.c`, and one row in `guard_kinds.c`. Functions run under
/// the entry's lock unless it is said otherwise; they take the clock as an argument, must not
/// block, and may leave their row as it is only by refusing. For guard*.c.

#include "arena/ledger.h"
#include "arena/registry.h"
#include "script/guard.h"

struct wr_guard_kind {
  struct wr_kind_ops state; ///< the registry's part
  /// The access log's reason code of a refusal ("breaker_open").
  const char *why;
  bool holds_nothing; ///< an admission is over as soon as it is given
  /// What a call that waited in vain ends with. Of kinds that queue.
  enum wr_error_kind in_vain;
  /// Asks for `ask`; an admission's ticket or a waiter goes into the row's payload (zeroed before).
  /// A refusal leaves in `ask->why` what `explain` needs. NULL: the kind admits nobody.
  enum wr_guard_admission (*enter)(struct wr_entry *entry, struct wr_row *row,
                                   struct wr_guard_ask *ask, uint64_t now_ns);
  /// Puts a refusal into words. Without the lock: only name and `ask` may be read.
  void (*explain)(const struct wr_entry *entry, const struct wr_guard_ask *ask,
                  struct wr_error *refusal);
  /// In how long the call that waited in vain may pass; 0: nobody knows. NULL: nobody ever does.
  uint64_t (*after)(const struct wr_entry *entry, const struct wr_guard_ask *ask, uint64_t now_ns);
  /// The response head came, and the admission stays to the end of the body. Without the lock, by
  /// the row's owner. NULL: it makes no difference.
  void (*answered)(struct wr_row *row, uint64_t now_ns);
  /// Ends an admission or a wait; the row's state tells which.
  void (*leave)(struct wr_entry *entry, struct wr_row *row, enum wr_outcome outcome,
                uint64_t now_ns);
  /// The next queued row that has something to be told; NULL when there is none. `*is_in`: it was
  /// admitted. NULL: nobody waits.
  struct wr_row *(*grant)(struct wr_entry *entry, uint64_t now_ns, bool *is_in);
  /// Until when a queued row may wait.
  uint64_t (*wait_until)(const struct wr_row *row);
  /// Makes a torn state valid: the ledger's rows are the truth.
  void (*recount)(struct wr_registry *r, struct wr_entry *entry, uint64_t now_ns);
  /// Does what the clock demands, and tells when it demands something next (UINT64_MAX: never).
  /// NULL: the clock demands nothing.
  void (*advance)(struct wr_entry *entry, uint64_t now_ns);
  uint64_t (*next_ns)(const struct wr_entry *entry);
  /// The oldest transition that nobody was told of. NULL: there are none.
  bool (*take_event)(struct wr_entry *entry, union wr_guard_event *out);
};

extern const struct wr_guard_kind wr_guard_breaker;
extern const struct wr_guard_kind wr_guard_flag;
extern const struct wr_guard_kind wr_guard_health;
extern const struct wr_guard_kind wr_guard_bulkhead;
extern const struct wr_guard_kind wr_guard_limiter;
extern const struct wr_guard_kind wr_guard_cache;
extern const struct wr_guard_kind wr_guard_shedder;
extern const struct wr_guard_kind wr_guard_throttle;
extern const struct wr_kind_ops wr_guard_budget;
extern const struct wr_kind_ops wr_guard_hedge;
extern const struct wr_guard_kind wr_guard_chaos;
extern const struct wr_guard_kind wr_guard_upstream;
extern const struct wr_guard_kind wr_guard_lease;

/// How a kind admits, or NULL for kinds that only keep state (budget).
const struct wr_guard_kind *wr_guard_kind_of(const struct wr_entry *entry);

/// Ends the words of a refusal with when to ask again, if that is known.
void wr_guard_refuse_after(struct wr_error *refusal, uint64_t after_ns);
