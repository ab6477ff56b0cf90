#pragma once
/// Rate limiter: so many calls of so much cost in a time, at once or after a bounded wait; for all
/// callers together, or for each key alone.
///
/// Pure, in one struct with its cells behind it; the caller holds its lock around each call.
/// Waiters owe nothing before they are admitted: their place in the queue is all they have, so one
/// that leaves or dies has nothing to give back, and those behind it move up. A waiter belongs to
/// its caller and must stay put while it waits. After any call, and at `wr_limiter_next_ns`, the
/// caller takes from `wr_limiter_grant` until it returns NULL, and wakes whom it returned.
/// Algorithms: `resilience/gcra.h`, `resilience/sliding.h`; the table of keys:
/// `resilience/keyed.h`.

#include "base/list.h"
#include "resilience/gcra.h"
#include "resilience/keyed.h"
#include "resilience/sliding.h"
#include "resilience/toplist.h"

struct wr_archive;

enum wr_limiter_result {
#define WR_LIMITER_RESULT(ENUM, name, meaning) WR_LIMITER_##ENUM,
#include "tables/states.def"
  WR_LIMITER_RESULTS
};

enum wr_limiter_algorithm { WR_LIMITER_GCRA, WR_LIMITER_SLIDING };

enum {
  WR_LIMITER_CALLS_MAX = 1000000, ///< of limit and burst
  WR_LIMITER_COST_MAX = 65535,    ///< of one call
  WR_LIMITER_KEYS_MAX = 1048576,
  WR_LIMITER_WAITING_MAX = 1024,   ///< all keys together
  WR_LIMITER_ARCHIVED_MAX = 16384, ///< keys whose debts are archived
};

#define WR_LIMITER_WAIT_MAX (UINT64_C(3600) * 1000000000)  ///< longest wait
#define WR_LIMITER_DRAIN_MAX (UINT64_C(3600) * 1000000000) ///< longest drain

struct wr_limiter_config {
  uint64_t period_ns; ///< `limit` calls in this time; a second at least for the sliding window
  uint32_t limit;     ///< at most one per microsecond
  uint32_t burst;     ///< of GCRA: calls at once
  uint32_t max_keys;  ///< keys that may be in debt at once; 0: one debt for all
  uint8_t algorithm;  ///< enum wr_limiter_algorithm
  bool shadow;        ///< admits everything, counts what it would have done
};

/// What one key owes.
struct wr_limiter_cell {
  struct wr_keyed_cell head;
  uint64_t drained_ns; ///< nothing passes before
  union {
    uint64_t owed_ns; ///< GCRA
    struct wr_sliding sliding;
  } debt;
};

/// A call that waits. Zeroed memory is an idle waiter.
struct wr_limiter_waiter {
  struct wr_list link; // private: in the order of arrival
  uint64_t key;        // private: a hash; 0: none
  uint64_t until_cost; // private: until when it may wait in µs, its cost in the lowest 16 bits
  uint64_t due_ns; ///< read-only: when it will be admitted as things are; UINT64_MAX: it will not
};

struct wr_limiter_counters {
  uint64_t admitted; ///< at once or after a wait
  uint64_t queued;
  uint64_t refused; ///< at once, those in vain waits excepted
  uint64_t expired; ///< waited in vain
  uint64_t left;    ///< left the queue by themselves in time: cancelled
  uint64_t drained;
  uint64_t shared;         ///< admitted calls that paid in a cell that keys share
  uint64_t shadow_refused; ///< admitted in shadow mode, would have been refused
  uint64_t shadow_queued;  ///< admitted in shadow mode, would have waited
};

struct wr_limiter {
  struct wr_limiter_config config;     // read-only: what is in force
  uint32_t declared_limit;             ///< read-only: while an operator's is in force; else 0
  uint32_t declared_burst;             ///< read-only: the same
  struct wr_gcra gcra;                 // private: follows from config
  struct wr_limiter_counters counters; ///< read-only
  struct wr_toplist refused;           ///< read-only: whom it refused at once, or would have
  uint32_t waiting;                    ///< read-only
  uint32_t keys;                       ///< read-only: cells that bear a key
  uint64_t next_ns;                    // private: the earliest due_ns; UINT64_MAX: nobody waits
  struct wr_list waiters;              // private: oldest first
  struct wr_limiter_cell all;          // private: calls without a key
  uint64_t cells[];                    // private
};

/// What is said with an answer.
struct wr_limiter_look {
  uint32_t limit;    ///< calls of cost 1 that a key at rest may make at once
  uint32_t left;     ///< and now
  uint64_t reset_ns; ///< in so long the key is at rest, if nothing comes
  uint64_t span_ns;  ///< `limit` calls come back in so long
};

/// 100 in a second, 100 at once, no keys.
void wr_limiter_config_init(struct wr_limiter_config *config);

/// NULL, or which bound is broken.
const char *wr_limiter_config_check(const struct wr_limiter_config *config);

/// Bytes of a limiter with its cells, with padding behind every cell to whole words.
size_t wr_limiter_bytes(const struct wr_limiter_config *config);

/// Begins without debts; the cells behind it are zeroed memory. Must stay put from then on: its
/// queue links to it.
void wr_limiter_init(struct wr_limiter *l, const struct wr_limiter_config *config);

/// Applies another configuration of the same size. What was used stays used: a debt is a number of
/// calls, and a drain a time. Who waits moves with the new rate.
void wr_limiter_reconfigure(struct wr_limiter *l, const struct wr_limiter_config *config,
                            uint64_t now_ns);

/// An operator's limit, above that of every configuration that it fits until it is lifted by 0; the
/// burst grows and shrinks with it. False, and nothing is changed, when the time of the rate does
/// not allow so many.
bool wr_limiter_resize(struct wr_limiter *l, uint32_t limit, uint64_t now_ns);

/// Makes `to` (zeroed, of `config`'s size) what `from` is, with the queue.
void wr_limiter_move(struct wr_limiter *to, const struct wr_limiter *from,
                     const struct wr_limiter_config *config, uint64_t now_ns);

/// ADMITTED, LIMITED (`*after_ns`: when the same call would pass) or TOO_COSTLY. Does not wait, and
/// does not overtake who does.
enum wr_limiter_result wr_limiter_try(struct wr_limiter *l, uint64_t key, uint32_t cost,
                                      uint64_t now_ns, uint64_t *after_ns);

/// A call of `cost` (0 counts as 1) whose caller gives up at `until_ns` (UINT64_MAX: never); its
/// timer is to leave then.
void wr_limiter_waiter_init(struct wr_limiter_waiter *w, uint64_t key, uint32_t cost,
                            uint64_t until_ns);

/// Until when a waiter waits, cut to a microsecond.
uint64_t wr_limiter_until_ns(const struct wr_limiter_waiter *w);

/// The same for a waiter, or QUEUED (`w` is linked) when its call will pass before it gives up;
/// LIMITED at once when it will not, or QUEUE_FULL.
enum wr_limiter_result wr_limiter_wait(struct wr_limiter *l, struct wr_limiter_waiter *w,
                                       uint64_t now_ns, uint64_t *after_ns);

/// In how long a call may pass; 0: now, or never.
uint64_t wr_limiter_after(const struct wr_limiter *l, uint64_t key, uint32_t cost, uint64_t now_ns);

/// Takes out of the queue the next waiter that has something to be told: it is admitted, or
/// (`*is_in` false) would wait in vain. NULL when there is none.
struct wr_limiter_waiter *wr_limiter_grant(struct wr_limiter *l, uint64_t now_ns, bool *is_in);

/// When to call `wr_limiter_grant` next; UINT64_MAX when nobody waits.
uint64_t wr_limiter_next_ns(const struct wr_limiter *l);

/// Takes a waiter out by its owner: cancelled, or its time is over.
void wr_limiter_leave(struct wr_limiter *l, struct wr_limiter_waiter *w, uint64_t now_ns);

/// Nothing of `key` passes before `until_ns`: an upstream said so. Never shortens; at most
/// WR_LIMITER_DRAIN_MAX from now.
void wr_limiter_drain(struct wr_limiter *l, uint64_t key, uint64_t until_ns, uint64_t now_ns);

/// What to tell a client about `key`.
void wr_limiter_look(const struct wr_limiter *l, uint64_t key, uint64_t now_ns,
                     struct wr_limiter_look *out);

/// Whether nobody owes anything or waits. Reads all cells.
bool wr_limiter_is_idle(const struct wr_limiter *l, uint64_t now_ns);

/// Makes arbitrary bytes valid, with an empty queue; debts are cut to what is possible. `config` is
/// what the memory was made for. The caller then requeues every living waiter.
void wr_limiter_repair(struct wr_limiter *l, const struct wr_limiter_config *config,
                       uint64_t now_ns);

/// Puts a waiter back by its `due_ns`, without looking at its links. Only after a repair, and
/// `wr_limiter_grant` must follow.
void wr_limiter_requeue(struct wr_limiter *l, struct wr_limiter_waiter *w);

/// Writes it to an archive, or reads what is owed from there, in calls whatever the rate is now;
/// call `wr_limiter_repair` after reading. Of more than WR_LIMITER_ARCHIVED_MAX keys in debt the
/// others are left out, and keys that share a cell always are.
void wr_limiter_archive(struct wr_limiter *l, struct wr_archive *a);

/// "admitted", …
const char *wr_limiter_result_name(enum wr_limiter_result result);
