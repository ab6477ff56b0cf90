#pragma once
/// Calls in flight, by when they started: tells how many have already outlived a threshold, without
/// a list of them and before any of them ends (research/resilience.md §5.6).
///
/// Sixteen slots of a fourteenth of the threshold. A call counts as overdue when its whole slot is,
/// so never early and at most a fourteenth late.

#include <stdbool.h>
#include <stdint.h>

enum { WR_INFLIGHT_SLOTS = 16 };

struct wr_inflight {
  uint64_t limit_ns;                // private: the threshold; 0: nothing is ever overdue
  uint64_t width_ns;                // private
  uint64_t drained;                 // private: slots before this number are in `overdue`
  uint32_t count;                   ///< read-only: calls in flight
  uint32_t overdue;                 // private
  uint32_t slot[WR_INFLIGHT_SLOTS]; // private
};

/// Starts with none. `limit_ns` 0 means that nothing is ever overdue.
void wr_inflight_init(struct wr_inflight *f, uint64_t limit_ns);

/// One call starts.
void wr_inflight_start(struct wr_inflight *f, uint64_t now_ns);

/// One call that started at `start_ns` ends. Ends more calls than started are ignored.
void wr_inflight_end(struct wr_inflight *f, uint64_t start_ns, uint64_t now_ns);

/// How many of the calls in flight are older than the limit.
uint32_t wr_inflight_overdue(struct wr_inflight *f, uint64_t now_ns);

/// When the next calls become overdue; UINT64_MAX when none will.
uint64_t wr_inflight_next_ns(const struct wr_inflight *f);

/// Changes the limit; the calls keep their start times as well as the slots know them.
void wr_inflight_reshape(struct wr_inflight *f, uint64_t limit_ns, uint64_t now_ns);

/// Makes it valid whatever its bytes are, with `live` calls in flight. If the slots hold another
/// number, their start times are lost and they count as started now.
void wr_inflight_repair(struct wr_inflight *f, uint64_t limit_ns, uint32_t live, uint64_t now_ns);
