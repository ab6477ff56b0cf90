#pragma once
/// Circuit breaker: stops calling an upstream that keeps failing, and finds out when it is well
/// again.
///
/// A pure state machine in one struct that may live in shared memory. The caller holds the
/// primitive's lock around each call; nothing here blocks, allocates, reads a clock or calls back.
/// Every `now_ns` is the monotonic clock of the calling worker's turn; clocks that differ by a turn
/// are tolerated. The state is a function of the clock: every function first brings the breaker to
/// `now_ns`, and the same timeline follows whether a timer came in time or late. A timer at
/// `wr_breaker_next_ns` makes transitions visible without traffic. Decisions and rejected roads:
/// resilience/README.md.

#include "base/rng.h"
#include "resilience/breaker_config.h"
#include "resilience/breaker_events.h"
#include "resilience/inflight.h"
#include "resilience/probes.h"
#include "resilience/ticket.h"
#include "resilience/window.h"

enum wr_breaker_refusal_kind {
#define WR_BREAKER_REFUSAL(ENUM, name, meaning) WR_BREAKER_REFUSAL_##ENUM,
#include "tables/states.def"
  WR_BREAKER_REFUSALS
};

struct wr_breaker_refusal {
  uint8_t kind;            ///< enum wr_breaker_refusal_kind
  uint64_t retry_after_ns; ///< when asking again may help; UINT64_MAX: not before the mode changes
};

/// Counters since birth; they survive every reconfiguration. They count calls, not attempts
/// refused, except the last three.
struct wr_breaker_counters {
  uint64_t successful;
  uint64_t failed;
  uint64_t slow; ///< of the two above
  uint64_t ignored;
  uint64_t cancelled;
  uint64_t stale;         ///< settled after their generation, or after their lease
  uint64_t lapsed;        ///< probes that outlived their lease (their late result is stale too)
  uint64_t not_permitted; ///< refused
  uint64_t shadow_not_permitted; ///< admitted in shadow mode, would have been refused
};

struct wr_breaker {
  struct wr_breaker_config config;     // read-only: change it by wr_breaker_reconfigure
  struct wr_breaker_counters counters; ///< read-only
  uint32_t generation;                 ///< read-only: bumped by every transition
  uint8_t state;                       // private: as of the last call; ask wr_breaker_state
  uint8_t forced;                      // private: the operator's mode, or MODE_NORMAL for none
  uint8_t is_held;                     ///< read-only: see wr_breaker_hold
  uint32_t trips;                  ///< read-only: in a row, each before the breaker had been closed
                                   ///< for as long as it was open before
  uint64_t open_last_ns;           // private: length of the last open time
  uint32_t failures_in_row;        // private
  uint64_t since_ns;               ///< read-only: when the state was entered
  uint64_t until_ns;               // private: end of open or half-open, end of the ramp when closed
  double ramp_credit;              // private: share of a call admitted but not yet given
  struct wr_rng rng;               // private: jitter
  struct wr_window window;         // private
  struct wr_inflight inflight;     // private: normal calls of this generation
  struct wr_probes probes;         // private
  struct wr_breaker_events events; ///< read-only: `seq` and `lost`
};

/// A snapshot for gauges and pages.
struct wr_breaker_stats {
  uint8_t state;           ///< enum wr_breaker_state
  uint8_t mode;            ///< enum wr_breaker_mode in force
  uint32_t calls;          ///< finished ones in the window
  uint32_t failures;       ///< of those
  uint32_t slow;           ///< of those
  uint32_t overdue;        ///< still running and already slow
  uint32_t inflight;       ///< normal calls of this generation still running
  uint32_t probes;         ///< probes running
  uint32_t trips;          ///< in a row
  bool enough;             ///< `calls` reaches min_calls, so the rates can trip
  double failure_rate;     ///< of `calls`; 0 when there are none
  double slow_rate;        ///< of `calls` and `overdue`
  double share;            ///< admitted share of calls: 1 closed, less in a ramp, 0 open
  uint64_t since_ns;       ///< when the state was entered
  uint64_t retry_after_ns; ///< open: time left; 0 otherwise
};

/// Begins closed with an empty window, or in the forced state of `config->mode`. The configuration
/// must pass its check. Draws one number from `rng` to seed its own.
void wr_breaker_init(struct wr_breaker *b, const struct wr_breaker_config *config,
                     struct wr_rng *rng, uint64_t now_ns);

/// Applies another configuration to the kept state: thresholds hold at once, open and half-open
/// keep their ends, calls and probes in flight stay current, the window keeps what fits its new
/// shape.
void wr_breaker_reconfigure(struct wr_breaker *b, const struct wr_breaker_config *config,
                            uint64_t now_ns);

/// An operator's override, above the configured mode until it is lifted by WR_BREAKER_MODE_NORMAL.
void wr_breaker_force(struct wr_breaker *b, enum wr_breaker_mode mode, uint64_t now_ns);

/// Begins anew as an operator's order: no override, closed, nothing counted, the next open time the
/// first one. False, and only the override is lifted, while its configured mode or its health check
/// says otherwise.
bool wr_breaker_reset(struct wr_breaker *b, uint64_t now_ns);

/// Holds the breaker open while what it protects is known to be down: it opens at once, with cause
/// `health_down`, and stays so. Let go, it is half-open at once, with cause `health_up`: a check
/// answers for itself, probes for the calls. Nothing happens when it is as it is.
void wr_breaker_hold(struct wr_breaker *b, bool is_held, uint64_t now_ns);

/// Admits a call (true, `*ticket` is filled) or refuses it (false, `*refusal` is; the other is
/// untouched). An admitted ticket must be settled.
bool wr_breaker_try(struct wr_breaker *b, uint64_t now_ns, struct wr_ticket *ticket,
                    struct wr_breaker_refusal *refusal);

/// Settles a ticket. False when that changed nothing: settled before, or stale.
bool wr_breaker_settle(struct wr_breaker *b, struct wr_ticket *ticket, enum wr_outcome outcome,
                       uint64_t now_ns);

/// Makes the transitions due by now. For the timer.
void wr_breaker_advance(struct wr_breaker *b, uint64_t now_ns);

/// When to call `wr_breaker_advance` next; UINT64_MAX: nothing is due. May be early, never late;
/// ask again after each call that may have changed it.
uint64_t wr_breaker_next_ns(const struct wr_breaker *b);

/// The state at `now_ns`, even when no timer has told the breaker yet.
enum wr_breaker_state wr_breaker_state(const struct wr_breaker *b, uint64_t now_ns);

/// Is that an operator's?
bool wr_breaker_is_forced(const struct wr_breaker *b);

/// The mode in force: the operator's, else the configured one.
enum wr_breaker_mode wr_breaker_mode(const struct wr_breaker *b);

/// Fills `*stats`; brings the breaker to `now_ns` first.
void wr_breaker_stats(struct wr_breaker *b, uint64_t now_ns, struct wr_breaker_stats *stats);

/// Takes the oldest event not taken yet; false when there is none. A gap in `seq` is a lost event.
bool wr_breaker_take_event(struct wr_breaker *b, struct wr_breaker_event *event);

/// Makes any torn state valid after a lock holder died anywhere: bounds, sums, queues.
/// `live_normal` and `live_probes` count the ledger's unsettled tickets of the breaker's current
/// generation. When they contradict the breaker the doubt is resolved towards fewer admissions:
/// unknown starts count as now, a torn half-open goes back to open.
void wr_breaker_repair(struct wr_breaker *b, uint32_t live_normal, uint32_t live_probes,
                       uint64_t now_ns);

/// Writes it to an archive, or reads it from there; call `wr_breaker_repair` after reading.
void wr_breaker_archive(struct wr_breaker *b, struct wr_archive *a);

/// The words of tables/states.def: "closed", …
const char *wr_breaker_state_name(enum wr_breaker_state state);
/// "normal", …
const char *wr_breaker_mode_name(enum wr_breaker_mode mode);
/// "failure_rate", …
const char *wr_breaker_cause_name(enum wr_breaker_cause cause);
/// "open", …
const char *wr_breaker_refusal_name(enum wr_breaker_refusal_kind kind);
