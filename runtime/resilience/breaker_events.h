#pragma once
/// What happened to a breaker: a short ring of its transitions, read by one observer.
///
/// A full ring overwrites the oldest: a breaker never waits for its observer.

#include <stdbool.h>
#include <stdint.h>

enum wr_breaker_state {
#define WR_BREAKER_STATE(ENUM, name, meaning) WR_BREAKER_##ENUM,
#include "tables/states.def"
  WR_BREAKER_STATES
};

enum wr_breaker_cause {
#define WR_BREAKER_CAUSE(ENUM, name, meaning) WR_BREAKER_CAUSE_##ENUM,
#include "tables/states.def"
  WR_BREAKER_CAUSES
};

enum { WR_BREAKER_EVENTS = 16 };

/// What happened, in order: `seq` grows by one, `from` is the `to` of the event before.
struct wr_breaker_event {
  uint64_t seq;
  uint64_t at_ns;     ///< when it was due, which may be before a late timer told it
  uint8_t from;       ///< enum wr_breaker_state
  uint8_t to;         ///< enum wr_breaker_state
  uint8_t cause;      ///< enum wr_breaker_cause
  uint32_t calls;     ///< finished ones in the window at that moment; out of half-open: verdicts
  uint32_t overdue;   ///< running ones that were already slow
  float failure_rate; ///< of `calls`; 0 when there were none
  float slow_rate;    ///< of `calls` and `overdue`
};

struct wr_breaker_events {
  uint64_t seq;     ///< read-only: of the newest event
  uint64_t lost;    ///< read-only: overwritten before they were taken
  uint32_t first;   // private
  uint32_t count;   // private
  uint8_t reported; // private: where the newest event led to
  struct wr_breaker_event ring[WR_BREAKER_EVENTS]; // private
};

/// Begins with none; the first event will come from `state`.
void wr_breaker_events_init(struct wr_breaker_events *e, enum wr_breaker_state state);

/// Appends an event; fills in its `seq` and `from`.
void wr_breaker_events_push(struct wr_breaker_events *e, struct wr_breaker_event event);

/// Takes the oldest; false when there is none.
bool wr_breaker_events_take(struct wr_breaker_events *e, struct wr_breaker_event *event);

/// Makes it valid whatever its bytes are: a ring that contradicts itself is dropped and counted
/// lost.
void wr_breaker_events_repair(struct wr_breaker_events *e);
