#pragma once
/// Bulkhead: at most so many calls at once, a bounded queue for those that may wait, no wait for
/// ever. With keys, each key has a room with slots and a queue of its own.
///
/// Pure, in one struct that may live in shared memory; the caller holds its lock around each call.
/// Waiters belong to their callers, are linked while queued, and must stay put until they are
/// granted, expired or have left. After any call that may free a slot (release, leave, reconfigure,
/// repair) the caller takes from `wr_bulkhead_grant` until it returns NULL, and wakes whom it
/// returned. Order: first come, first served. Adaptive order turns to newest first with a short
/// wait while the queue has not been empty for an interval: in overload the oldest waiter is the
/// one whose caller has given up (CoDel as in "Fail at Scale", research/resilience.md §2.6).

#include "base/list.h"
#include "resilience/keyed.h"

#include <stdbool.h>
#include <stdint.h>

enum wr_bulkhead_result {
#define WR_BULKHEAD_RESULT(ENUM, name, meaning) WR_BULKHEAD_##ENUM,
#include "tables/states.def"
  WR_BULKHEAD_RESULTS
};

enum wr_bulkhead_order { WR_BULKHEAD_FIFO, WR_BULKHEAD_ADAPTIVE };

enum { WR_BULKHEAD_MAX = 1000000, WR_BULKHEAD_QUEUE_MAX = 65536, WR_BULKHEAD_KEYS_MAX = 65536 };

struct wr_bulkhead_config {
  uint32_t max;         ///< calls at once, 1 to WR_BULKHEAD_MAX
  uint32_t queue;       ///< waiters at once, up to WR_BULKHEAD_QUEUE_MAX; 0: nobody waits
  uint64_t wait_ns;     ///< longest wait; 0: nobody waits
  uint32_t max_keys;    ///< keys that may be inside at once; 0: one room for all
  uint8_t order;        ///< enum wr_bulkhead_order
  bool shadow;          ///< admits everything, counts what it would have done
  uint64_t target_ns;   ///< adaptive: longest wait while overloaded
  uint64_t interval_ns; ///< adaptive: a queue that was not empty for this long is overloaded
};

/// A call that may wait. The caller sets `until_ns` to its own deadline (UINT64_MAX: none) before
/// it tries; the rest is the bulkhead's while the waiter is queued. Zeroed memory is an idle
/// waiter.
struct wr_bulkhead_waiter {
  struct wr_list link; // private
  uint64_t since_ns;   ///< read-only: when it was queued
  uint64_t until_ns;   ///< it is refused from then on; its owner's timer leaves at that time
  uint32_t room;       // private: where it waits, or holds its slot
  uint8_t result;      ///< read-only: enum wr_bulkhead_result, QUEUED while in the queue
};

struct wr_bulkhead_counters {
  uint64_t admitted; ///< at once or after a wait
  uint64_t queued;
  uint64_t refused_full;
  uint64_t refused_queue_full;
  uint64_t expired;        ///< waited in vain
  uint64_t left;           ///< left the queue by themselves in time: cancelled
  uint64_t shadow_refused; ///< admitted in shadow mode, would have been refused
  uint64_t shadow_queued;  ///< admitted in shadow mode, would have waited
};

/// One key's calls.
struct wr_bulkhead_room {
  struct wr_keyed_cell head;
  uint32_t in_use;
  uint32_t queued;
  uint64_t empty_ns;      // when the queue was last seen empty
  struct wr_list waiters; // oldest first
  uint32_t next_ready;    // in the list of rooms that have something to tell
  bool is_ready;
};

struct wr_bulkhead {
  struct wr_bulkhead_config config;     // read-only: what is in force
  uint32_t declared_max;                ///< read-only: while an operator's is in force; else 0
  struct wr_bulkhead_counters counters; ///< read-only
  uint32_t in_use;                      ///< read-only: slots held, in all rooms
  uint32_t queued;                      ///< read-only: waiters, in all rooms
  uint32_t keys;                        ///< read-only: rooms of keys that somebody is in
  uint32_t ready;                       // private: first room of the list, or 0
  uint32_t epoch;                       // private: of the table of rooms
  uint64_t shared;                      ///< read-only: calls that entered a shared room
  struct wr_bulkhead_room all;          // private: calls without a key
  uint64_t rooms[];                     // private
};

/// 64 at once, 32 waiters for at most 50 ms, first come first served; adaptive 5 ms in 100 ms.
void wr_bulkhead_config_init(struct wr_bulkhead_config *config);

/// NULL, or which bound is broken.
const char *wr_bulkhead_config_check(const struct wr_bulkhead_config *config);

/// Bytes of a bulkhead with its rooms.
size_t wr_bulkhead_bytes(const struct wr_bulkhead_config *config);

/// Begins empty. The memory must stay put from then on: the queue links to it.
void wr_bulkhead_init(struct wr_bulkhead *b, const struct wr_bulkhead_config *config,
                      uint64_t now_ns);

/// Applies another configuration. Nobody is thrown out: a smaller maximum admits none until enough
/// have ended, a smaller queue keeps its waiters.
void wr_bulkhead_reconfigure(struct wr_bulkhead *b, const struct wr_bulkhead_config *config);

/// An operator's maximum, 1 to WR_BULKHEAD_MAX, above that of every configuration until it is
/// lifted by 0.
void wr_bulkhead_resize(struct wr_bulkhead *b, uint32_t max);

/// ADMITTED (release it later), QUEUED (`waiter` is linked), or FULL, QUEUE_FULL, EXPIRED: refused.
/// A NULL waiter does not wait. Nobody overtakes the queue.
enum wr_bulkhead_result wr_bulkhead_try(struct wr_bulkhead *b, uint64_t now_ns,
                                        struct wr_bulkhead_waiter *waiter);

/// The same in the room of a key's hash. A waiter is needed, for it says later whose slot it is;
/// with `until_ns` 0 it does not wait.
enum wr_bulkhead_result wr_bulkhead_try_key(struct wr_bulkhead *b, uint64_t now_ns, uint64_t key,
                                            struct wr_bulkhead_waiter *waiter);

/// The room that a waiter was tried in, for what a refusal says.
const struct wr_bulkhead_room *wr_bulkhead_room_of(struct wr_bulkhead *b,
                                                   const struct wr_bulkhead_waiter *waiter);

/// Gives a slot back.
void wr_bulkhead_release(struct wr_bulkhead *b);

/// Gives back the slot of an admitted waiter.
void wr_bulkhead_release_of(struct wr_bulkhead *b, const struct wr_bulkhead_waiter *waiter);

/// Takes out of the queue the next waiter that has something to be told: `result` ADMITTED (it
/// holds a slot) or EXPIRED. NULL when there is none.
struct wr_bulkhead_waiter *wr_bulkhead_grant(struct wr_bulkhead *b, uint64_t now_ns);

/// Takes a waiter out of the queue by its owner: cancelled, or its time is over. False when it was
/// not in the queue any more; look at its `result` then, it may hold a slot.
bool wr_bulkhead_leave(struct wr_bulkhead *b, struct wr_bulkhead_waiter *waiter, uint64_t now_ns);

/// Makes `to` (zeroed, of `config`'s size) what `from` is when the number of rooms changes. Who is
/// inside or waits is from then on without a key; keys begin with empty rooms.
void wr_bulkhead_move(struct wr_bulkhead *to, const struct wr_bulkhead *from,
                      const struct wr_bulkhead_config *config, uint64_t now_ns);

/// Whether the adaptive order of the calls without a key is in its overload half.
bool wr_bulkhead_is_overloaded(const struct wr_bulkhead *b, uint64_t now_ns);

/// Makes the bulkhead valid after a lock holder died anywhere: `live` slots in use without a key,
/// and empty queues. The caller then recounts every waiter that holds a slot and is not among
/// these, and requeues every living one whose `result` is QUEUED. The configuration tells the size
/// of the memory: set it before when it may be torn.
void wr_bulkhead_repair(struct wr_bulkhead *b, uint32_t live, uint64_t now_ns);

/// Counts the slot of an admitted waiter. Only after a repair.
void wr_bulkhead_recount(struct wr_bulkhead *b, const struct wr_bulkhead_waiter *waiter);

/// Puts a waiter back by its `since_ns`, without looking at its links. Only after a repair.
void wr_bulkhead_requeue(struct wr_bulkhead *b, struct wr_bulkhead_waiter *waiter);

/// "admitted", …
const char *wr_bulkhead_result_name(enum wr_bulkhead_result result);
