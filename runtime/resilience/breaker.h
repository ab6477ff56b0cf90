#pragma once
/// Circuit breaker: stops calling an upstream that keeps failing, and finds out when it is well again.
///
/// A pure state machine in one struct that may live in shared memory. The caller holds the primitive's
/// lock around each call; nothing here blocks, allocates, reads a clock or calls back. Every `now_ns`
/// is the monotonic clock of the calling worker's turn; clocks that differ by a turn are tolerated.
/// The state is a function of the clock: every function first brings the breaker to `now_ns`, and the
/// same timeline follows whether a timer came in time or late. A timer at `wr_breaker_next_ns` makes
/// transitions visible without traffic. Decisions and rejected roads: resilience/README.md.

#include "base/rng.h"
#include "resilience/inflight.h"
#include "resilience/probes.h"
#include "resilience/ticket.h"
#include "resilience/window.h"

enum wr_breaker_state {
#define WR_BREAKER_STATE(ENUM, name, meaning) WR_BREAKER_##ENUM,
#include "tables/states.def"
  WR_BREAKER_STATES
};

enum wr_breaker_mode {
#define WR_BREAKER_MODE(ENUM, name, meaning) WR_BREAKER_MODE_##ENUM,
#include "tables/states.def"
  WR_BREAKER_MODES
};

enum wr_breaker_cause {
#define WR_BREAKER_CAUSE(ENUM, name, meaning) WR_BREAKER_CAUSE_##ENUM,
#include "tables/states.def"
  WR_BREAKER_CAUSES
};

enum wr_breaker_refusal_kind {
#define WR_BREAKER_REFUSAL(ENUM, name, meaning) WR_BREAKER_REFUSAL_##ENUM,
#include "tables/states.def"
  WR_BREAKER_REFUSALS
};

enum { WR_BREAKER_EVENTS = 16 };

/// Thresholds. Rates are 0..1; a rule with threshold 0 is off, and any rule may trip.
/// Bounds are checked by `wr_breaker_config_check`.
struct wr_breaker_config {
  uint8_t mode;                ///< enum wr_breaker_mode
  uint8_t window_kind;         ///< enum wr_window_kind
  uint64_t window_size;        ///< calls, or nanoseconds
  uint32_t min_calls;          ///< the rates mean nothing below this many calls in the window
  uint32_t consecutive;        ///< trips after this many failures in a row; 0: off
  double failure_rate;         ///< trips at or above; 0: off
  double slow_rate;            ///< trips at or above; 0: off
  uint64_t slow_call_ns;       ///< a call this long is slow; 0: none is
  uint64_t open_ns;            ///< first open time; doubles with each trip until a recovery is proved
  uint64_t open_max_ns;        ///< bound of the doubling
  double open_jitter;          ///< the open time varies by this share, up and down
  uint32_t probes;             ///< half-open: verdicts that decide, and most probes at once
  uint64_t attempt_timeout_ns; ///< of the calls behind the breaker: sizes the two below
  uint64_t probe_lease_ns;     ///< a probe without a result for this long failed; 0: 2 x attempt
  uint64_t half_open_ns;       ///< half-open ends after this long; 0: max(2 x attempt, 10 s)
  uint64_t ramp_ns;            ///< after a recovery the admitted share grows for this long; 0: off
  double ramp_from;            ///< the share it grows from
};

/// What happened, in order: `seq` grows by one, `from` is the `to` of the event before.
struct wr_breaker_event {
  uint64_t seq;
  uint64_t at_ns;     ///< when it was due, which may be before a late timer told it
  uint8_t from;       ///< enum wr_breaker_state
  uint8_t to;         ///< enum wr_breaker_state
  uint8_t cause;      ///< enum wr_breaker_cause
  uint32_t calls;     ///< in the window at that moment, overdue ones included
  float failure_rate; ///< of those calls; 0 when there were none
  float slow_rate;
};

struct wr_breaker_refusal {
  uint8_t kind;            ///< enum wr_breaker_refusal_kind
  uint64_t retry_after_ns; ///< when asking again may help; UINT64_MAX: not before the mode changes
};

/// Counters since birth; they survive every reconfiguration. They count calls, not attempts refused,
/// except the last three.
struct wr_breaker_counters {
  uint64_t successful;
  uint64_t failed;
  uint64_t slow; ///< of the two above
  uint64_t ignored;
  uint64_t cancelled;
  uint64_t stale;                ///< settled after their generation, or after their lease
  uint64_t lapsed;               ///< probes that outlived their lease (their late result is stale too)
  uint64_t not_permitted;        ///< refused
  uint64_t shadow_not_permitted; ///< admitted in shadow mode, would have been refused
  uint64_t events_lost;          ///< overwritten before they were taken
};

struct wr_breaker {
  struct wr_breaker_config config;     // read-only: change it by wr_breaker_reconfigure
  struct wr_breaker_counters counters; ///< read-only
  uint32_t generation;                 ///< read-only: bumped by every transition
  uint8_t state;                       // private: as of the last call; ask wr_breaker_state
  uint8_t reported;                    // private: the state the last event led to
  uint8_t forced;                      // private: the operator's mode, or MODE_NORMAL for none
  uint32_t trips;                      // private: opened since the last proved recovery
  uint32_t failures_in_row;            // private
  uint64_t since_ns;                   ///< read-only: when the state was entered
  uint64_t until_ns;                   // private: end of open or half-open, end of the ramp when closed
  double ramp_credit;                  // private: share of a call admitted but not yet given
  struct wr_rng rng;                   // private: jitter
  struct wr_window window;             // private
  struct wr_inflight inflight;         // private: normal calls of this generation
  struct wr_probes probes;             // private
  uint64_t seq;                        // private: of the last event
  uint32_t event_first;                // private
  uint32_t event_count;                // private
  struct wr_breaker_event events[WR_BREAKER_EVENTS]; // private
};

/// A snapshot for gauges and pages.
struct wr_breaker_stats {
  uint8_t state; ///< enum wr_breaker_state
  uint8_t mode;  ///< enum wr_breaker_mode in force
  uint32_t calls;
  uint32_t failures;
  uint32_t slow;     ///< overdue ones included
  uint32_t overdue;  ///< still running and already slow
  uint32_t inflight; ///< normal calls of this generation still running
  uint32_t probes;   ///< probes running
  uint32_t trips;    ///< opened since the last proved recovery
  bool enough;       ///< `calls` reaches min_calls, so the rates can trip
  double failure_rate;
  double slow_rate;
  double share;            ///< admitted share of calls: 1 closed, less in a ramp, 0 open
  uint64_t since_ns;       ///< when the state was entered
  uint64_t retry_after_ns; ///< open: time left; 0 otherwise
};

/// The defaults of DESIGN §5: rate 0.5 of at least 20 calls in 10 s, open 5 s to 60 s, 3 probes.
void wr_breaker_config_init(struct wr_breaker_config *config);

/// NULL, or which bound is broken ("failure_rate must be between 0 and 1").
const char *wr_breaker_config_check(const struct wr_breaker_config *config);

/// Begins closed with an empty window, or in the forced state of `config->mode`. The configuration
/// must pass its check. Draws one number from `rng` to seed its own.
void wr_breaker_init(struct wr_breaker *b, const struct wr_breaker_config *config,
                     struct wr_rng *rng, uint64_t now_ns);

/// Applies another configuration to the kept state: thresholds hold at once, open and half-open keep
/// their ends, calls and probes in flight stay current, the window keeps what fits its new shape.
void wr_breaker_reconfigure(struct wr_breaker *b, const struct wr_breaker_config *config,
                            uint64_t now_ns);

/// An operator's override, above the configured mode until it is lifted by WR_BREAKER_MODE_NORMAL.
void wr_breaker_force(struct wr_breaker *b, enum wr_breaker_mode mode, uint64_t now_ns);

/// Admits a call (true, `*ticket` is filled) or refuses it (false, `*refusal` is; the other is
/// untouched). An admitted ticket must be settled.
bool wr_breaker_try(struct wr_breaker *b, uint64_t now_ns, struct wr_ticket *ticket,
                    struct wr_breaker_refusal *refusal);

/// Settles a ticket. False when that changed nothing: settled before, or stale.
bool wr_breaker_settle(struct wr_breaker *b, struct wr_ticket *ticket, enum wr_outcome outcome,
                       uint64_t now_ns);

/// Makes the transitions due by now. For the timer.
void wr_breaker_advance(struct wr_breaker *b, uint64_t now_ns);

/// When to call `wr_breaker_advance` next; UINT64_MAX: nothing is due. May be early, never late; ask
/// again after each call that may have changed it.
uint64_t wr_breaker_next_ns(const struct wr_breaker *b);

/// The state at `now_ns`, even when no timer has told the breaker yet.
enum wr_breaker_state wr_breaker_state(const struct wr_breaker *b, uint64_t now_ns);

/// The mode in force: the operator's, else the configured one.
enum wr_breaker_mode wr_breaker_mode(const struct wr_breaker *b);

/// Fills `*stats`; brings the breaker to `now_ns` first.
void wr_breaker_stats(struct wr_breaker *b, uint64_t now_ns, struct wr_breaker_stats *stats);

/// Takes the oldest event not taken yet; false when there is none. A gap in `seq` is a lost event.
bool wr_breaker_take_event(struct wr_breaker *b, struct wr_breaker_event *event);

/// Makes any torn state valid after a lock holder died anywhere: bounds, sums, queues. `live_normal`
/// and `live_probes` count the ledger's unsettled tickets of the breaker's current generation. When
/// they contradict the breaker the doubt is resolved towards fewer admissions: unknown starts count
/// as now, a torn half-open goes back to open.
void wr_breaker_repair(struct wr_breaker *b, uint32_t live_normal, uint32_t live_probes,
                       uint64_t now_ns);

const char *wr_breaker_state_name(enum wr_breaker_state state);
const char *wr_breaker_mode_name(enum wr_breaker_mode mode);
const char *wr_breaker_cause_name(enum wr_breaker_cause cause);
const char *wr_breaker_refusal_name(enum wr_breaker_refusal_kind kind);
