#pragma once
/// One process's door to the shared primitives: takes the entry's lock, asks the primitive, writes
/// the ledger row that makes the admission known to all.
///
/// An admission (or a place in a queue) has an id, never 0: settle it exactly once with
/// `wr_guard_leave`; an id that is over is refused everywhere and changes nothing. A process killed
/// at any instruction leaks nothing: rows are the truth, a lock whose holder died makes the next
/// taker recount them, and the master settles the rows of the dead worker. Callbacks run outside of
/// all locks, never inside enter or leave of another guard. One loop's own; the shared side is safe
/// from all processes. Limits: ledger_rows admissions per worker; beyond, calls are refused.

#include "arena/ledger.h"
#include "arena/registry.h"
#include "resilience/breaker.h"
#include "resilience/budget.h"
#include "resilience/bulkhead.h"
#include "resilience/chaos.h"
#include "resilience/flag.h"
#include "resilience/health.h"
#include "resilience/limiter.h"
#include "upstream/roster.h"

struct wr_guard_shadow;

enum wr_guard_admission { WR_GUARD_REFUSED, WR_GUARD_ADMITTED, WR_GUARD_QUEUED };

/// What a refusal says: copied under the primitive's lock, put into words without it.
struct wr_guard_why {
  uint8_t result;      ///< the kind's own word for it
  uint64_t after_ns;   ///< when asking again may help, in so long; 0: nobody knows
  uint64_t numbers[4]; ///< the kind's own
};

/// One question to a primitive. Zeroed memory asks for one call that does not wait.
struct wr_guard_ask {
  uint64_t until_ns; ///< waits until then at most, absolute; 0: does not wait; UINT64_MAX: as long
                     ///< as the primitive lets it. Out, when queued: the end of the wait
  uint64_t key;      ///< hash of the key of a keyed primitive; of a lease: the worker's slot
  uint32_t cost;     ///< of a limiter; 0 counts as 1
  uint8_t priority;  ///< of a shedder: enum wr_priority
  const struct wr_overload_signals *signals; ///< of the process, for a shedder; NULL: not known
  uint64_t id;                               ///< out: the admission, or the place in the queue
  struct wr_guard_why why;                   ///< out, when refused
};

/// A change of state that somebody should hear of; the entry's kind tells which member is set.
union wr_guard_event {
  struct wr_breaker_event breaker;
  struct wr_health_event health;
  struct wr_flag_event flag;
  struct wr_chaos_event chaos;
  struct wr_roster_event roster;
};

/// What the guard tells. Any of them may be NULL.
struct wr_guard_callbacks {
  /// A queued call was admitted (settle `id` later) or refused (`id` is over). From
  /// `wr_guard_collect`.
  void (*on_grant)(void *ctx, uint64_t id, bool granted);
  /// An entry changed its state: once per transition, in the process that noticed.
  void (*on_event)(void *ctx, struct wr_entry *entry, const union wr_guard_event *event);
  void *ctx;
};

struct wr_guard {
  struct wr_registry *registry; ///< read-only
  struct wr_ledger ledger;      ///< read-only
  struct wr_guard_callbacks callbacks;
  struct wr_guard_shadow *shadow; ///< of guard_shadow.h; NULL: none
  uint64_t refused_full;          ///< read-only: refusals because the ledger was full
};

/// The registry's table of kinds.
extern const struct wr_kind_ops *const wr_guard_kinds[WR_KINDS];

/// Makes a process's registry handle with the table above and the repair that counts rows.
void wr_guard_registry(struct wr_registry *r, struct wr_arena *a);

/// A number for the sizes of all states, for `wr_arena_adopt`.
uint64_t wr_guard_stamp(void);

/// Opens the door for the process of worker slot `slot`. The registry handle must outlive it.
void wr_guard_init(struct wr_guard *g, struct wr_registry *r, uint32_t slot,
                   struct wr_guard_callbacks callbacks);

/// Settles what is still open as cancelled and frees the handle.
void wr_guard_fini(struct wr_guard *g, uint64_t now_ns);

/// Asks a primitive that admits calls: `ask` says for what. ADMITTED: `ask->id` is to be settled.
/// QUEUED: `on_grant` will tell of `ask->id`, unless `wr_guard_cancel_wait` comes first; the
/// caller's timer must call that at `ask->until_ns`. REFUSED: `*refusal` is set, with after_ns when
/// asking again may help.
enum wr_guard_admission wr_guard_enter(struct wr_guard *g, struct wr_entry *entry,
                                       struct wr_guard_ask *ask, uint64_t now_ns,
                                       struct wr_error *refusal);

/// Adds to such a refusal when to ask again, if the kind knows; `ask` is what the call asked for.
void wr_guard_explain_after(struct wr_guard *g, struct wr_entry *entry,
                            const struct wr_guard_ask *ask, uint64_t now_ns,
                            struct wr_error *refusal);

/// Whether an admission lasts until it is settled. False: settle it at once.
bool wr_guard_holds(const struct wr_entry *entry);

/// Puts into words that a queued call was refused: its time was over, or its place was taken.
void wr_guard_explain_wait(const struct wr_entry *entry, struct wr_error *refusal);

/// The access log's reason code for a refusal by `entry`, "" when it refuses nobody.
const char *wr_guard_why(const struct wr_entry *entry);

/// Whether `id` is in a queue. By the time of the answer it may have been granted.
bool wr_guard_is_waiting(const struct wr_guard *g, uint64_t id);

/// The response head of an admitted call came, and its admission stays to the end of the body.
void wr_guard_answered(struct wr_guard *g, uint64_t id, uint64_t now_ns);

/// Settles an admission. False, and nothing happens, when the id is over.
bool wr_guard_leave(struct wr_guard *g, uint64_t id, enum wr_outcome outcome, uint64_t now_ns);

/// Leaves the queue; a slot granted meanwhile is given back. False when the id is over.
bool wr_guard_cancel_wait(struct wr_guard *g, uint64_t id, uint64_t now_ns);

/// Delivers what other processes granted: call when the slot's bell rings.
void wr_guard_collect(struct wr_guard *g, uint64_t now_ns);

/// Counts a first attempt for the budget.
void wr_guard_budget_deposit(struct wr_guard *g, struct wr_entry *entry, uint64_t now_ns);

/// Pays for an extra attempt; false when the budget is spent.
bool wr_guard_budget_withdraw(struct wr_guard *g, struct wr_entry *entry, uint64_t now_ns);

/// Asks a limiter without waiting; nothing is to be settled. False: `*refusal` is set.
bool wr_guard_limiter_try(struct wr_guard *g, struct wr_entry *entry, struct wr_guard_ask *ask,
                          uint64_t now_ns, struct wr_error *refusal);

/// Nothing of `key` passes a limiter before `until_ns`; see `wr_limiter_drain`.
void wr_guard_limiter_drain(struct wr_registry *r, struct wr_entry *entry, uint64_t key,
                            uint64_t until_ns, uint64_t now_ns);

/// What to tell a client about `key`. False when the entry is gone.
bool wr_guard_limiter_look(struct wr_registry *r, struct wr_entry *entry, uint64_t key,
                           uint64_t now_ns, struct wr_limiter_look *out);
/// Whether a call meets an experiment's faults; see `wr_chaos_draw`.
bool wr_guard_chaos_draw(struct wr_guard *g, struct wr_entry *entry, uint64_t hash, uint64_t now_ns,
                         uint64_t *latency_ns);

/// How a request that met it ended; see `wr_chaos_note`.
void wr_guard_chaos_note(struct wr_guard *g, struct wr_entry_ref ref, bool is_failure,
                         uint64_t now_ns);

/// Starts and ends an experiment; see `wr_chaos_apply` and `wr_chaos_rollback`. Any process.
bool wr_guard_chaos_apply(struct wr_registry *r, struct wr_entry *entry, uint64_t for_ns,
                          uint64_t now_ns, struct wr_error *error);
bool wr_guard_chaos_rollback(struct wr_registry *r, struct wr_entry *entry, uint64_t now_ns);

/// The run of a granted lease begins: its fencing token. 0: it has lapsed, and must not.
uint64_t wr_guard_lease_begin(struct wr_guard *g, uint64_t id, uint64_t now_ns);

/// It goes on; well before it lapses. False: it has lapsed, and must end.
bool wr_guard_lease_renew(struct wr_guard *g, uint64_t id, uint64_t now_ns);

/// An operator's maximum of a bulkhead, or limit of a limiter, until it is lifted by 0; see
/// `wr_bulkhead_resize` and `wr_limiter_resize`. Any process. False with a set error: closed when
/// the entry is gone, invalid when it does not fit.
bool wr_guard_resize(struct wr_registry *r, struct wr_entry *entry, uint32_t size, uint64_t now_ns,
                     struct wr_error *error);

/// An operator's order about an endpoint; see `wr_roster_obey`. Any process. False with a set
/// error: closed when the entry is gone, no_endpoint when it has no such endpoint.
bool wr_guard_endpoint_order(struct wr_registry *r, struct wr_entry *entry,
                             const struct wr_roster_order *order, uint64_t now_ns,
                             struct wr_error *error);

/// An operator has a breaker begin anew; see `wr_breaker_reset`. Any process; the master tells the
/// transition. False with a set error: closed when the entry is gone, refused when something else
/// keeps it as it is.
bool wr_guard_breaker_reset(struct wr_registry *r, struct wr_entry *entry, uint64_t now_ns,
                            struct wr_error *error);

/// An operator's override of a breaker; see `wr_breaker_force`. Any process; the master tells the
/// transition. False when the entry is gone.
bool wr_guard_breaker_force(struct wr_registry *r, struct wr_entry *entry,
                            enum wr_breaker_mode mode, uint64_t now_ns);

/// A change to a flag: its share in force, by whom and why; see `wr_flag_set`, `wr_flag_reset`.
struct wr_guard_flag_order {
  bool is_reset;
  uint32_t share;
  enum wr_flag_actor actor;
  struct wr_str why;
};

/// Changes a flag for all processes. Any process; the master tells the change. False when the entry
/// is gone.
bool wr_guard_flag_order(struct wr_registry *r, struct wr_entry *entry,
                         const struct wr_guard_flag_order *order, uint64_t now_ns);

/// The result of a check whose turn was taken by `wr_guard_enter` (`claim`: its `why.numbers[0]`);
/// leave the admission afterwards. The breakers that are tied to it follow at once; a change of the
/// verdict is told by whoever comes to the entry first. False when the entry is gone.
bool wr_guard_health_report(struct wr_registry *r, struct wr_entry *entry, uint64_t claim,
                            const struct wr_health_result *result, const char *output);

/// Makes every breaker follow the check that it is tied to. Also for the master's tick, lest one
/// misses a change whose reporter died.
void wr_guard_health_spread(struct wr_registry *r, uint64_t now_ns);

/// What a breaker's configuration calls the check that holds it; 0 for NULL.
uint64_t wr_guard_health_tie(const struct wr_entry *health);

/// Copies a primitive's state for gauges and pages, to ask the copy at leisure. `*state` has the
/// kind's state_size. False when the entry is gone.
bool wr_guard_look(struct wr_registry *r, struct wr_entry *entry, uint64_t now_ns, void *state);

/// Settles everything that a dead worker left in its ledger: tickets as cancelled, waiters removed,
/// the next ones granted; rings every bell, lest one that the dead worker owed is missing. Returns
/// the number of rows. Master only, before the slot is used again; then `wr_registry_wipe`,
/// `wr_series_forget` and `wr_guard_advance`.
uint32_t wr_guard_settle_dead(struct wr_registry *r, uint32_t slot, uint64_t now_ns,
                              const struct wr_guard_callbacks *callbacks);

/// Makes every transition that the clock demands, in all entries: open times, probe leases, calls
/// that became slow. Returns when to call it next (UINT64_MAX: when the bell rings). For the
/// master's timer and bell, so that no transition waits for traffic. Waits in queues end by their
/// owners' timers.
uint64_t wr_guard_advance(struct wr_registry *r, uint64_t now_ns,
                          const struct wr_guard_callbacks *callbacks);
