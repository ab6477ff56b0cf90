#pragma once
/// Load shedder: a concurrency limit, fixed or learnt, with a bounded queue in which the more
/// important call goes first.
///
/// Pure, in one struct that may live in shared memory; the caller holds its lock around each call.
/// Waiters belong to their callers, as a bulkhead's do: linked while queued, and after any call
/// that may free a slot or a place the caller takes from `wr_shedder_grant` until it returns NULL.
/// A full queue drops the newest waiter of the lowest priority for a call of a higher one. Each
/// class's queue turns to newest first, and lets its new calls wait a twentieth of the time, while
/// it has not been empty for `wait_ns` (CoDel with adaptive LIFO, "Fail at Scale", with its 100 ms
/// and 5 ms at the default wait; research/resilience.md §2.6): its oldest are those whose callers
/// have given up. By class, so that a crowd of background calls does not cut short the wait of a
/// critical one.

#include "base/list.h"
#include "resilience/adaptive.h"
#include "resilience/overload.h"
#include "resilience/ticket.h"

enum wr_shedder_result {
#define WR_SHEDDER_RESULT(ENUM, name, meaning) WR_SHEDDER_##ENUM,
#include "tables/states.def"
  WR_SHEDDER_RESULTS
};

enum { WR_SHEDDER_QUEUE_MAX = 65536 };

struct wr_shedder_config {
  struct wr_adaptive_config limit;
  struct wr_overload_config overload; ///< signals of the process; all 0: none
  uint32_t queue;                     ///< waiters at once, up to WR_SHEDDER_QUEUE_MAX; 0: none
  uint64_t wait_ns;                   ///< longest wait; 0: nobody waits
  uint8_t shadow;                     ///< admits everything, counts what it would have done
};

/// A call that may wait, or is under way. The caller sets `until_ns` to its own deadline
/// (UINT64_MAX: none; 0: does not wait) and `priority` before it tries. Zeroed memory is an idle
/// one.
struct wr_shedder_waiter {
  struct wr_list link; // private
  uint64_t since_ns;   ///< read-only: when it was queued; once admitted, when that was
  union {
    uint64_t until_ns;    ///< it is refused from then on; its owner's timer leaves at that time
    uint64_t answered_ns; ///< once admitted: its owner puts here when the response head came, if
                          ///< the call goes on after it; 0 before
  };
  uint8_t result;   ///< read-only: enum wr_shedder_result, QUEUED while in the queue
  uint8_t priority; ///< enum wr_priority
};

struct wr_shedder {
  struct wr_shedder_config config;       // read-only: change it by wr_shedder_reconfigure
  struct wr_adaptive adaptive;           ///< read-only
  struct wr_overload overload;           ///< read-only
  uint32_t in_use;                       ///< read-only: slots held
  uint32_t queued;                       ///< read-only: waiters in the queues
  uint64_t empty_ns[WR_PRIORITIES];      // private: when the class's queue was last seen empty
  struct wr_list waiters[WR_PRIORITIES]; // private: oldest first
  struct wr_list preempted;              // private: out of the queue, not told yet
  uint64_t calls[WR_SHEDDER_RESULTS][WR_PRIORITIES];  ///< read-only: by what became of them
  uint64_t shadow[WR_SHEDDER_RESULTS][WR_PRIORITIES]; ///< read-only: what would have, in shadow
};

/// A fixed limit of 256, a queue of 64 that waits for at most 100 ms.
void wr_shedder_config_init(struct wr_shedder_config *config);

/// NULL, or which bound is broken.
const char *wr_shedder_config_check(const struct wr_shedder_config *config);

/// Begins empty. The struct must stay put from then on: the queues link to it.
void wr_shedder_init(struct wr_shedder *s, const struct wr_shedder_config *config, uint64_t seed,
                     uint64_t now_ns);

/// Applies another configuration. Nobody is thrown out, and a limit keeps what it has learnt.
void wr_shedder_reconfigure(struct wr_shedder *s, const struct wr_shedder_config *config);

/// Calls that may be in flight now.
uint32_t wr_shedder_limit(const struct wr_shedder *s);

/// What the process knows of itself, before a try: needed when `config.overload` is on.
void wr_shedder_feed(struct wr_shedder *s, const struct wr_overload_signals *signals,
                     uint64_t now_ns);

/// ADMITTED (leave it later), QUEUED (`waiter` is linked), or why it is refused. Nobody overtakes
/// its own class.
enum wr_shedder_result wr_shedder_try(struct wr_shedder *s, struct wr_shedder_waiter *waiter,
                                      uint64_t now_ns);

/// Ends an admitted call and gives its slot back. Successes and failures teach the limit; the
/// latency is that of the head, for the pace of a body may be that of a slow client.
void wr_shedder_release(struct wr_shedder *s, const struct wr_shedder_waiter *waiter,
                        enum wr_outcome outcome, uint64_t now_ns);

/// Takes out the next waiter that has something to be told: `result` ADMITTED (it holds a slot),
/// EXPIRED or PREEMPTED. NULL when there is none.
struct wr_shedder_waiter *wr_shedder_grant(struct wr_shedder *s, uint64_t now_ns);

/// Takes a waiter out by its owner: cancelled, or its time is over. False when it was not in the
/// queue any more; look at its `result` then, it may hold a slot.
bool wr_shedder_leave(struct wr_shedder *s, struct wr_shedder_waiter *waiter, uint64_t now_ns);

/// Calls of a priority that were refused, at once or after a wait.
uint64_t wr_shedder_shed(const struct wr_shedder *s, enum wr_priority priority);

/// Whether a class's queue is a standing one.
bool wr_shedder_is_standing(const struct wr_shedder *s, enum wr_priority priority, uint64_t now_ns);

/// Makes the shedder valid after a lock holder died anywhere: `live` slots in use, and empty
/// queues. The caller then requeues every living waiter whose `result` is QUEUED.
void wr_shedder_repair(struct wr_shedder *s, uint32_t live, uint64_t now_ns);

/// Puts a waiter back by its `since_ns`, without looking at its links. Only after a repair.
void wr_shedder_requeue(struct wr_shedder *s, struct wr_shedder_waiter *waiter);

/// "admitted", …
const char *wr_shedder_result_name(enum wr_shedder_result result);

/// Writes its learnt limit to an archive, or reads it from there; call `wr_shedder_repair` after
/// reading.
void wr_shedder_archive(struct wr_shedder *s, struct wr_archive *a);
