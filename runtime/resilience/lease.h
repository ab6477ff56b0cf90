#pragma once
/// Lease: of those who wait to do a job that repeats, one at a time does it, and it is done again
/// an interval after it was begun, whoever does it then.
///
/// Pure, in one struct that may live in shared memory; the caller holds its lock around each call.
/// Waiters belong to their callers, are linked while they wait, and must stay put until they have
/// left or released. After any call that may let somebody in (release, leave, reconfigure, repair)
/// and at `wr_lease_next_ns` the caller takes from `wr_lease_grant` until it returns NULL, and
/// wakes whom it returned. Who was let in begins, renews in time, releases. A lease that is not
/// renewed lapses: its token, which no other run has had and which is above all before it, is
/// refused from then on. A run that ended without being done (its worker died) is due again at
/// once; a second one in a row, which may be the job's doing, when it would have been.

#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

struct wr_archive;

#define WR_LEASE_TTL_NS (UINT64_C(30) * 1000000000) ///< a lease that is not renewed lapses after

struct wr_lease_config {
  uint64_t interval_ns; ///< from the begin of a run to that of the next, 1 ms to 10 years
  uint64_t ttl_ns;      ///< how long it is held without being renewed, 1 ms to 10 years
};

/// One who waits for its turn, and then holds it. The caller sets `owner`; zeroed memory is nobody.
struct wr_lease_waiter {
  struct wr_list link; // private
  uint64_t token;      ///< read-only: of the run that it was let in for; 0: it waits
  uint32_t owner;      ///< the caller's number, for readers
  uint8_t has_begun;   // private
};

struct wr_lease_counters {
  uint64_t begun;
  uint64_t done;
  uint64_t lost;   ///< begun, and ended without being done; those that lapsed included
  uint64_t lapsed; ///< not renewed in time
};

struct wr_lease {
  struct wr_lease_config config;     // read-only: change it by wr_lease_reconfigure
  struct wr_lease_counters counters; ///< read-only
  uint64_t token;                    ///< read-only: of the run under way; 0: there is none
  uint64_t last_token;               // private
  uint64_t until_ns;                 // private: the run's lease lapses then
  uint64_t due_ns;                   ///< read-only: when the next run is due
  uint64_t begun_ns;                 ///< read-only: when a run last began; 0: none did
  uint32_t owner;                    ///< read-only: of the run under way, or the last one
  uint32_t waiting;                  ///< read-only: those who wait for their turn
  uint8_t has_begun;                 // private: the run under way
  uint8_t was_lost;                  // private: the last run
  struct wr_list waiters;            // private: oldest first
};

/// NULL, or which bound is broken.
const char *wr_lease_config_check(const struct wr_lease_config *config);

/// The first run is due now. The memory must stay put from then on: the queue links to it.
void wr_lease_init(struct wr_lease *l, const struct wr_lease_config *config, uint64_t now_ns);

/// Applies another configuration: the next run is due the new interval after the last one began.
void wr_lease_reconfigure(struct wr_lease *l, const struct wr_lease_config *config,
                          uint64_t now_ns);

/// Waits for its turn, behind all others.
void wr_lease_wait(struct wr_lease *l, struct wr_lease_waiter *w);

/// Takes a waiter out of the queue.
void wr_lease_leave(struct wr_lease *l, struct wr_lease_waiter *w);

/// Lets the oldest waiter in if a run is due and none is under way; else NULL.
struct wr_lease_waiter *wr_lease_grant(struct wr_lease *l, uint64_t now_ns);

/// The run of a waiter that was let in begins. False, and it must not: it has lapsed.
bool wr_lease_begin(struct wr_lease *l, struct wr_lease_waiter *w, uint64_t now_ns);

/// It goes on. False, and it must end: it has lapsed, and another run may be under way.
bool wr_lease_renew(struct wr_lease *l, const struct wr_lease_waiter *w, uint64_t now_ns);

/// It has ended, or will not begin. Nothing happens when it has lapsed.
void wr_lease_release(struct wr_lease *l, const struct wr_lease_waiter *w, bool is_done,
                      uint64_t now_ns);

/// When to take from `wr_lease_grant` again; UINT64_MAX: when something happens.
uint64_t wr_lease_next_ns(const struct wr_lease *l);

/// Whether nobody holds it or waits for it.
bool wr_lease_is_idle(const struct wr_lease *l);

/// Writes when a run is due, the last token and the counters to an archive, or reads them from
/// there; call `wr_lease_repair` and `wr_lease_reconfigure` after reading.
void wr_lease_archive(struct wr_lease *l, struct wr_archive *a);

/// Makes it valid whatever its bytes are, but for the configuration; the queue is empty then.
/// `holder`: who lives and was let in with the token that is there, or NULL.
void wr_lease_repair(struct wr_lease *l, const struct wr_lease_waiter *holder, uint64_t now_ns);
