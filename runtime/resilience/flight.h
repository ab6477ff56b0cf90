#pragma once
/// Single flight: of those who want the same thing at the same time one leads and fetches it, the
/// others follow and wait for it.
///
/// Pure, in one struct that may live in shared memory; the caller holds its lock around each call.
/// Members belong to their callers, are linked while they lead or follow, and must stay put until
/// they have left or were told. A leader that finishes (with a value, without, with an error) lets
/// all its followers look for what it left; one that gives up or dies is succeeded by the follower
/// who has waited longest. So a follower is never forgotten, and never waits for nobody. After any
/// call that may have something to tell (leave, repair) the caller takes from `wr_flight_told`
/// until it returns NULL, and wakes whom it returned. Keys are hashes: two keys of one hash share a
/// flight, and the follower that finds nothing then goes alone.

#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

enum wr_flight_role {
#define WR_FLIGHT_ROLE(ENUM, name, meaning) WR_FLIGHT_##ENUM,
#include "tables/states.def"
  WR_FLIGHT_ROLES
};

enum { WR_FLIGHT_BUCKETS = 64, WR_FLIGHT_WAITERS_MAX = 65536 };

/// One call. The caller sets `key` before it joins; the rest is the flight's while it is linked.
/// Zeroed memory is nobody.
struct wr_flight_member {
  struct wr_list link; // private
  uint64_t key;        ///< hash of what is wanted
  uint64_t until_ns;   ///< the caller's: until when it may wait; its timer makes it leave
  uint8_t role;        ///< read-only: enum wr_flight_role
};

struct wr_flight_counters {
  uint64_t led;       ///< calls that led, promoted ones included
  uint64_t followed;  ///< calls that waited for another
  uint64_t told;      ///< followers that were let look
  uint64_t succeeded; ///< followers that took a leader's place
  uint64_t left;      ///< followers that gave up
  uint64_t full;      ///< calls that found no place to wait
};

struct wr_flight {
  struct wr_flight_counters counters;        ///< read-only
  uint32_t max;                              ///< most followers; the caller's to change
  uint32_t leaders, followers;               ///< read-only: now
  bool is_repaired;                          // private: there may be followers without a leader
  struct wr_list buckets[WR_FLIGHT_BUCKETS]; // private: leaders first, then followers by age
  struct wr_list told;                       // private: who has something to be told
};

/// Begins empty, with room for `max` followers (at most WR_FLIGHT_WAITERS_MAX). The struct must
/// stay put from then on: lists link to it.
void wr_flight_init(struct wr_flight *f, uint32_t max);

/// LEADER (nobody does it yet: leave when it is done), FOLLOWER (only if `waits`; it will be told),
/// or NOBODY: somebody leads and this one may not wait, or the followers are too many.
enum wr_flight_role wr_flight_join(struct wr_flight *f, struct wr_flight_member *m, bool waits);

/// Takes a member out. Of a leader `is_done` says whether it has finished: then its followers look,
/// else the oldest one succeeds it. A member that is not linked is left alone.
void wr_flight_leave(struct wr_flight *f, struct wr_flight_member *m, bool is_done);

/// The next member that has something to be told: `role` LEADER (it leads now, and is linked again)
/// or LOOKING (it is out). NULL when there is none.
struct wr_flight_member *wr_flight_told(struct wr_flight *f);

/// Whether somebody leads for `key`.
bool wr_flight_is_led(const struct wr_flight *f, uint64_t key);

/// Makes the flight valid after a lock holder died anywhere: empty. The caller then gives back
/// every living member with `wr_flight_restore`. Followers that are left without a leader find one
/// with the next `wr_flight_told`.
void wr_flight_repair(struct wr_flight *f);

/// Puts a member back as what it is by the caller's books, without looking at its links.
void wr_flight_restore(struct wr_flight *f, struct wr_flight_member *m, bool is_leader);

/// "leader", …
const char *wr_flight_role_name(enum wr_flight_role role);
