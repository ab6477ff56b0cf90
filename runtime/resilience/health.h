#pragma once
/// Health check: what repeated checks of one dependency say about it, and whose turn it is to make
/// the next one.
///
/// Checks are made outside; this decides when, by whom (one claim at a time, which lapses, so that
/// a checker that dies or hangs holds nobody up), and what the results mean: `fall` failures in a
/// row take a dependency down, `rise` successes bring it back, and the first result of all decides
/// at once. Pure; one struct that may live in shared memory; the caller holds the lock, except for
/// `wr_health_verdict`. resilience/README.md says why it is as it is.

#include "base/error.h"
#include "base/rng.h"

struct wr_archive;

enum wr_health_verdict {
#define WR_HEALTH_VERDICT(ENUM, name, meaning) WR_HEALTH_##ENUM,
#include "tables/states.def"
  WR_HEALTH_VERDICTS
};

/// What is checked; the words of Lua's options.
enum wr_health_type {
#define WR_HEALTH_TYPE(ENUM, name, component, meaning) WR_HEALTH_TYPE_##ENUM,
#include "tables/states.def"
  WR_HEALTH_TYPES
};

enum {
  WR_HEALTH_HISTORY = 64,     ///< results that are kept
  WR_HEALTH_OUTPUT_MAX = 160, ///< with its NUL
  WR_HEALTH_ROW_MAX = 100,    ///< largest rise and fall
};

struct wr_health_config {
  uint64_t interval_ns; ///< between two checks
  uint64_t timeout_ns;  ///< of one check
  double jitter;        ///< the interval varies by this share, up and down
  uint64_t target;      ///< hash of what is checked: another one is judged anew
  uint32_t rise, fall;  ///< results in a row that change the verdict
  uint8_t type;         ///< enum wr_health_type
  uint8_t is_critical;  ///< weir is not ready while it is down
};

struct wr_health_result {
  uint64_t at_ns;      ///< when the check ended
  uint32_t latency_us; ///< how long it took
  uint8_t error;       ///< enum wr_error_kind; WR_ERROR_NONE: it passed
};

/// A change of the verdict, to be told once.
struct wr_health_event {
  uint64_t at_ns;
  uint8_t from, to;                  ///< enum wr_health_verdict
  uint8_t error;                     ///< enum wr_error_kind of the result that decided
  char output[WR_HEALTH_OUTPUT_MAX]; ///< what it said
};

struct wr_health {
  struct wr_health_config config; // read-only: change it by wr_health_reconfigure
  _Atomic uint32_t verdict;       ///< read-only: enum wr_health_verdict
  uint32_t good, bad;             ///< read-only: results in a row; at most one is not 0
  uint8_t is_fresh;               // private: the next result decides alone
  uint8_t was_lost;               // private: the last claim ended without a result
  uint8_t told;                   // private: the verdict that was told of last
  uint64_t born_ns;               // private
  uint64_t since_ns;              ///< read-only: when the verdict was made
  uint64_t passed, failed;        ///< read-only: checks since birth
  uint64_t lost;       ///< read-only: checks without a result: their checker died, hung, or left
  uint64_t downs, ups; ///< read-only: verdicts made since birth
  uint64_t due_ns;     ///< read-only: when the next check is due
  uint64_t claim;      // private: of the check under way, 0 when there is none
  uint64_t claim_until_ns;                            // private: then it lapses
  uint64_t last_claim;                                // private
  struct wr_rng rng;                                  // private: jitter
  uint32_t first, count;                              // private: of the history
  struct wr_health_result history[WR_HEALTH_HISTORY]; // private: see wr_health_at
  char output[WR_HEALTH_OUTPUT_MAX]; ///< read-only: what the last failure said; "" after a success
};

/// Every 5 s varied by a tenth, 1 s each, 2 up, 3 down, critical.
void wr_health_config_init(struct wr_health_config *config);

/// NULL, or which bound is broken.
const char *wr_health_config_check(const struct wr_health_config *config);

/// Nothing is known; the first check is due now. The configuration must pass its check.
void wr_health_init(struct wr_health *h, const struct wr_health_config *config, uint64_t seed,
                    uint64_t now_ns);

/// Applies another configuration. Verdict and history stay; of another target the next result
/// decides alone, and is due now.
void wr_health_reconfigure(struct wr_health *h, const struct wr_health_config *config,
                           uint64_t now_ns);

/// Takes the turn to check: its claim, never 0, or 0 when it is not due or somebody is at it;
/// `*after_ns` then says when to ask again.
uint64_t wr_health_claim(struct wr_health *h, uint64_t now_ns, uint64_t *after_ns);

/// The result of a claimed check; `output` is what a failure said. True when the verdict changed. A
/// claim that is over changes nothing.
bool wr_health_report(struct wr_health *h, uint64_t claim, const struct wr_health_result *result,
                      const char *output);

/// Gives a claim back without a result. The next check is due now, but when that has happened twice
/// in a row, which may be the check's doing, after an interval. Nothing happens when it is over.
void wr_health_release(struct wr_health *h, uint64_t claim, uint64_t now_ns);

/// The verdict. Needs no lock.
enum wr_health_verdict wr_health_verdict(const struct wr_health *h);

/// Whether the results are older than three intervals and a time-out: nobody checks. The verdict
/// holds all the same.
bool wr_health_is_stale(const struct wr_health *h, uint64_t now_ns);

/// The `back`-th newest result, from 0; NULL when there are not so many.
const struct wr_health_result *wr_health_at(const struct wr_health *h, uint32_t back);

/// Takes the change that nobody was told of; false when there is none. Changes since the last time
/// are one event, or none when the verdict is again what was told.
bool wr_health_take_event(struct wr_health *h, struct wr_health_event *event);

/// Makes it valid whatever its bytes are, after a lock holder died.
void wr_health_repair(struct wr_health *h, uint64_t now_ns);

/// "unknown", "up", "down".
const char *wr_health_verdict_name(enum wr_health_verdict verdict);

/// "http", "redis", …
const char *wr_health_type_name(enum wr_health_type type);

/// The componentType of draft-inadarei-api-health-check: "datastore", "component".
const char *wr_health_type_component(enum wr_health_type type);

/// Writes it to an archive, or reads it from there, the target that it was about included; call
/// `wr_health_repair` and `wr_health_reconfigure` after reading.
void wr_health_archive(struct wr_health *h, struct wr_archive *a);
