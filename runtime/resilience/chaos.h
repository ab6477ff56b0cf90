#pragma once
/// Faults on purpose: which call gets which, and when it must stop.
///
/// A decision is a function of the experiment's name, the request's id and, if it was asked for, the
/// attempt: the same request meets the same faults in every worker and every process. An experiment
/// that is armed disarms itself when its time is over, or when too many of the requests that met it
/// failed (its blast radius), and stays disarmed until somebody arms it again. Doubt disarms. Pure;
/// the caller holds the lock.

#include "base/error.h"
#include "base/str.h"
#include "resilience/rolling.h"

#include <stdbool.h>
#include <stdint.h>

enum wr_chaos_state {
#define WR_CHAOS_STATE(ENUM, name, meaning) WR_CHAOS_##ENUM,
#include "tables/states.def"
  WR_CHAOS_STATES
};

enum wr_chaos_cause {
#define WR_CHAOS_CAUSE(ENUM, name, meaning) WR_CHAOS_CAUSE_##ENUM,
#include "tables/states.def"
  WR_CHAOS_CAUSES
};

enum wr_chaos_fault {
#define WR_CHAOS_FAULT(ENUM, name, meaning) WR_CHAOS_FAULT_##ENUM,
#include "tables/states.def"
  WR_CHAOS_FAULTS
};

#define WR_CHAOS_EXPIRES_MAX (UINT64_C(86400) * 1000000000) ///< longest time armed: a day

struct wr_chaos_config {
  double probability;      ///< share of the calls that get the faults, 0 to 1
  uint64_t latency_ns;     ///< before the call
  uint64_t variance_ns;    ///< up and down, evenly; at most latency_ns
  uint64_t drip;           ///< bytes of response body a second; 0: no drip
  uint64_t truncate;       ///< bytes of response body that leave, when is_truncated
  uint64_t after_ns;       ///< quiet time after arming
  uint64_t every_ns;       ///< then bursts that begin so far apart; 0: one that lasts to the end
  uint64_t lasts_ns;       ///< length of a burst
  uint64_t expires_ns;     ///< from arming; 1 to WR_CHAOS_EXPIRES_MAX
  double guard_rate;       ///< disarms at this share of failed requests
  uint64_t guard_window_ns;
  uint32_t guard_min_calls; ///< the share means nothing below this many requests
  uint16_t status;          ///< answers with it; 0: no such fault
  uint8_t error;            ///< enum wr_error_kind; NONE: no such fault
  bool is_reset;
  bool is_truncated;
  bool is_allowed; ///< the process was started with --allow-chaos
  bool is_eager;   ///< armed by wr_chaos_start
};

struct wr_chaos_counters {
  uint64_t calls;                   ///< seen while armed
  uint64_t faults[WR_CHAOS_FAULTS]; ///< injected
};

/// A transition that is to be told.
struct wr_chaos_event {
  uint64_t seq; ///< grows by one
  uint8_t to;   ///< enum wr_chaos_state
  uint8_t cause;
  uint32_t requests; ///< that met it in the guard's window
  uint32_t failed;   ///< of these
};

struct wr_chaos {
  struct wr_chaos_config config; ///< read-only: change it by wr_chaos_reconfigure
  struct wr_chaos_counters counters; ///< read-only
  struct wr_chaos_event event;       ///< read-only: the newest transition
  uint64_t told_seq;                 // private: the last that was taken
  uint64_t armed_ns;                 ///< read-only: since when
  uint64_t until_ns;                 ///< read-only: armed until then; 0: disarmed
  struct wr_rolling guard;           // private: requests and failures
  bool is_started;                   // private: this configuration was, since it is in force
};

/// What happens to one call.
struct wr_chaos_verdict {
  bool is_hit;
  uint64_t delay_ns;         ///< before anything else
  enum wr_chaos_fault fault; ///< ERROR, STATUS, RESET: instead of the call; else NONE
};

/// Every call, for a minute, no fault; guard 0.2 of at least 20 requests over 30 s.
void wr_chaos_config_init(struct wr_chaos_config *config);

/// NULL, or which bound is broken.
const char *wr_chaos_config_check(const struct wr_chaos_config *config);

/// Begins disarmed. The configuration must pass its check.
void wr_chaos_init(struct wr_chaos *c, const struct wr_chaos_config *config);

/// Applies another configuration. What was armed for the old one ends.
void wr_chaos_reconfigure(struct wr_chaos *c, const struct wr_chaos_config *config,
                          uint64_t now_ns);

/// Its scripts went live: arms an eager one, the first time for this configuration only. A reload
/// that changes nothing must not give it another life.
void wr_chaos_start(struct wr_chaos *c, uint64_t now_ns);

/// Arms it, for its time from now; its guard begins anew. False when that is not allowed.
bool wr_chaos_apply(struct wr_chaos *c, uint64_t now_ns);

/// Disarms it.
void wr_chaos_rollback(struct wr_chaos *c, uint64_t now_ns);

/// Disarms it when its time is over.
void wr_chaos_advance(struct wr_chaos *c, uint64_t now_ns);

/// When the clock ends it; UINT64_MAX when it is disarmed.
uint64_t wr_chaos_next_ns(const struct wr_chaos *c);

/// The number that decides about a request: of the experiment's name and the request's id, and, to
/// give each attempt a fate of its own, its number (else 0).
uint64_t wr_chaos_draw(struct wr_str name, struct wr_str request_id, uint32_t attempt);

/// What happens to a call with that number, and counts it.
struct wr_chaos_verdict wr_chaos_decide(struct wr_chaos *c, uint64_t draw, uint64_t now_ns);

/// A request that met it is over. May disarm.
void wr_chaos_report(struct wr_chaos *c, bool has_failed, uint64_t now_ns);

/// The newest transition that was not taken before; false when there is none.
bool wr_chaos_take(struct wr_chaos *c, struct wr_chaos_event *event);

/// ARMED or DISARMED at that moment; changes nothing.
enum wr_chaos_state wr_chaos_state(const struct wr_chaos *c, uint64_t now_ns);

/// "armed", "applied", "latency", …
const char *wr_chaos_state_name(enum wr_chaos_state state);
const char *wr_chaos_cause_name(enum wr_chaos_cause cause);
const char *wr_chaos_fault_name(enum wr_chaos_fault fault);

/// Makes it valid whatever its bytes are: disarmed, unless it is whole.
void wr_chaos_repair(struct wr_chaos *c, uint64_t now_ns);
