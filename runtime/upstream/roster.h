#pragma once
/// The roster of an upstream: its endpoints and what all workers know of them.
///
/// Lives in the arena under the upstream's name, so that workers agree, and so that it outlives
/// reloads and workers: who the endpoints are (declared, found by DNS, read from a file, or set by
/// a script), who is ejected, what health checks say, whose turn it is to check and to ask. Workers
/// copy it when its version changes. Pure; the caller holds the entry's lock, except for
/// `wr_roster_version`.

#include "arena/order_note.h"
#include "resilience/outlier.h"
#include "upstream/balance.h"
#include "upstream/standing.h"

struct wr_archive;

enum {
  WR_ROSTER_URL_MAX = 320, ///< with its NUL
  WR_ROSTER_ZONE_MAX = 64, ///< same
  WR_ROSTER_MEMBERS_MIN = 64,
};

struct wr_roster_config {
  struct wr_outlier_config outlier;
  double panic;         ///< share of usable endpoints below which nobody counts as out; 0: never
  uint64_t declared;    ///< hash of the declaration of the endpoints
  uint64_t interval_ns; ///< of health checks; 0: there are none
  double check_jitter;  ///< the interval varies by this share, up and down
  uint32_t rise, fall;  ///< results in a row that change a verdict
  uint32_t capacity;    ///< most members
};

/// An endpoint as it is declared.
struct wr_roster_wanted {
  struct wr_str url;
  struct wr_str zone; ///< where it stands; "" when that is not said
  uint32_t weight;    ///< 1 … WR_BALANCE_WEIGHT_MAX
  bool is_far;        ///< to be used when others do not suffice, whatever its zone
};

struct wr_roster_member {
  uint64_t id;              ///< hash of the URL
  uint64_t ramp_ns;         ///< since when it is in its slow start; 0: it is not
  uint64_t due_ns;          ///< of the next health check
  uint32_t weight;          ///< what is in force
  uint32_t declared_weight; ///< while an operator's is in force; else 0
  uint32_t good, bad;       ///< health checks in a row
  bool is_far;
  bool is_drained; ///< an operator wants it to get no calls
  struct wr_standing standing;
  struct wr_order_note ordered; ///< of what is drained, or has an operator's weight
  char url[WR_ROSTER_URL_MAX];
  char zone[WR_ROSTER_ZONE_MAX];
};

/// What somebody should hear of.
enum wr_roster_news {
  WR_ROSTER_OUTLIER, ///< an endpoint was ejected, or came back
  WR_ROSTER_HEALTH,  ///< the verdict of an endpoint's health check changed
  WR_ROSTER_PANIC,   ///< panic began or ended
  WR_ROSTER_CHANGED, ///< there are other endpoints than before
};

struct wr_roster_event {
  enum wr_roster_news news;
  struct wr_outlier_event outlier; ///< OUTLIER
  char url[WR_ROSTER_URL_MAX];     ///< OUTLIER, HEALTH
  bool is_on;                      ///< HEALTH: it is well; PANIC: it began
  uint8_t error;                   ///< HEALTH: enum wr_error_kind of the last result
  uint32_t usable, count;          ///< of the endpoints
  uint32_t added, removed;         ///< CHANGED
};

enum { WR_ROSTER_EVENTS = 8 };

struct wr_roster {
  struct wr_roster_config config; ///< read-only
  _Atomic uint64_t version;       ///< bumped by each change that workers must know
  uint64_t list_version;          ///< read-only: of the last change of who the members are
  uint64_t seeded;      ///< the declaration that the members stem from; 0: nobody has set any
  uint64_t asked_ns;    ///< until when somebody is at finding them out; see wr_roster_claim
  uint64_t last_set_ns; ///< read-only: when the members were set
  uint32_t capacity;    ///< read-only
  bool is_panic;        ///< read-only
  bool was_full;        ///< read-only: not all that were wanted had room
  uint64_t panics;      ///< read-only: how often it began
  struct wr_rng rng;    // private
  uint32_t event_first, event_count;               // private
  struct wr_roster_event events[WR_ROSTER_EVENTS]; // private
};

/// Bytes of a roster: this head, the members, the outlier's part.
size_t wr_roster_bytes(const struct wr_roster_config *config);

/// Nobody is in it.
void wr_roster_init(struct wr_roster *r, const struct wr_roster_config *config, uint64_t seed);

/// Makes `to` (zeroed) what `from` is, as far as there is room: members of whom something is known
/// before others.
void wr_roster_move(struct wr_roster *to, const struct wr_roster *from,
                    const struct wr_roster_config *config);

/// Applies another configuration. Members stay.
void wr_roster_reconfigure(struct wr_roster *r, const struct wr_roster_config *config,
                           uint64_t now_ns);

/// Makes it valid whatever its bytes are. Torn members leave.
void wr_roster_repair(struct wr_roster *r, const struct wr_roster_config *config, uint64_t now_ns);

/// The row numbered `at`; which of them are members the outlier's rows tell.
struct wr_roster_member *wr_roster_member(const struct wr_roster *r, uint32_t at);
struct wr_outlier *wr_roster_outlier(const struct wr_roster *r);

/// Makes the roster hold these. Those who are in it already keep what is known of them; new ones
/// begin slowly unless all are new. What has no room is left out, and a member too many times
/// counts once. `declared`: the declaration that they stem from, 0: it stays as it is.
void wr_roster_set(struct wr_roster *r, const struct wr_roster_wanted *wanted, size_t count,
                   uint64_t declared, uint64_t now_ns);

/// What an operator wants of a member, until it is lifted or the member leaves.
struct wr_roster_order {
  struct wr_str url;
  bool is_drained;
  uint32_t weight; ///< 1 … WR_BALANCE_WEIGHT_MAX; 0: as declared
  const char *by;  ///< who wants it
};

/// The row of the member with that URL; UINT32_MAX: there is none.
uint32_t wr_roster_find(const struct wr_roster *r, struct wr_str url);

/// Applies an order to row `at`: all of it, so what it does not say is lifted.
void wr_roster_obey(struct wr_roster *r, uint32_t at, const struct wr_roster_order *order,
                    uint64_t now_ns);

/// What a worker saw of a member since it last told.
struct wr_roster_seen {
  struct wr_outlier_batch batch;
  uint64_t latency_ns;             ///< of the successes, together
  struct wr_standing_failure last; ///< of the failures
};

/// Tells what a worker saw of row `at`, if that is still `id`.
void wr_roster_report(struct wr_roster *r, uint32_t at, uint64_t id,
                      const struct wr_roster_seen *seen, uint64_t now_ns);

/// Takes the turn to check the health of a member: its row; UINT32_MAX when none is due, and
/// `*after_ns` says when to ask again.
uint32_t wr_roster_claim_check(struct wr_roster *r, uint64_t now_ns, uint64_t *after_ns);

/// A health check of row `at` ended; `error` is an enum wr_error_kind, WR_ERROR_NONE: well.
void wr_roster_check(struct wr_roster *r, uint32_t at, uint64_t id, uint8_t error, uint64_t now_ns);

/// Takes the turn to find out who the members are, until `until_ns` or until it is given back by
/// setting `asked_ns`. False when somebody has it, or nobody is to ask yet.
bool wr_roster_claim(struct wr_roster *r, uint64_t now_ns, uint64_t until_ns);

/// What the clock demands, and when it demands something next.
void wr_roster_advance(struct wr_roster *r, uint64_t now_ns);
uint64_t wr_roster_next(const struct wr_roster *r);

/// The oldest thing that nobody was told of; false when there is none.
bool wr_roster_take_event(struct wr_roster *r, struct wr_roster_event *out);

/// Writes it to an archive, or reads it from there; call `wr_roster_repair` after reading.
void wr_roster_archive(struct wr_roster *r, struct wr_archive *a);

/// Needs no lock.
uint64_t wr_roster_version(const struct wr_roster *r);

/// The identity of an endpoint.
uint64_t wr_roster_id(struct wr_str url);
