#pragma once
/// What one worker has to tell of one generation of scripts: its state, what it holds, how the
/// requests ended that it served.
///
/// Rows of the worker's slot: the worker alone writes, the master reads and adds up. Relaxed
/// atomics; a row belongs to the generation whose number it says, 0 is free.

#include <stdint.h>

struct wr_slot;

enum {
  WR_TALLY_ROWS = 12,      ///< generations that a worker may hold at once
  WR_TALLY_LATENCIES = 96, ///< buckets of durations
};

/// How a request ended.
enum wr_tally_end {
  WR_TALLY_OK,      ///< none of the others
  WR_TALLY_RAISED,  ///< its scripts raised an error
  WR_TALLY_REFUSED, ///< a primitive refused it: nobody else failed
  WR_TALLY_FAILED,  ///< any other status of 500 or above, or a response that broke off
  WR_TALLY_ENDS
};

struct wr_tally {
  _Atomic uint64_t number;
  _Atomic uint32_t state;    ///< enum wr_generation_state
  _Atomic uint32_t requests; ///< that hold it
  _Atomic uint64_t bytes;    ///< memory of its scripts
  _Atomic uint64_t ends[WR_TALLY_ENDS];
  _Atomic uint32_t latencies[WR_TALLY_LATENCIES]; ///< of all requests, by wr_tally_bucket
};

/// A row for generation `number`, all zero. NULL: there is none left; it is not told of then.
struct wr_tally *wr_tally_take(struct wr_slot *s, uint64_t number);

/// The generation is gone; NULL is fine.
void wr_tally_free(struct wr_tally *t);

/// Frees all rows of the slot: another process has it.
void wr_tally_clear(struct wr_slot *s);

/// A request ended after `duration_ns`. NULL is fine.
void wr_tally_count(struct wr_tally *t, enum wr_tally_end end, uint64_t duration_ns);

/// Forgets what was counted; NULL is fine.
void wr_tally_reset(struct wr_tally *t);

/// The bucket of a duration: four for each doubling from 64 us on, the last for all beyond 17 min.
uint32_t wr_tally_bucket(uint64_t duration_ns);

/// The longest duration of a bucket, in ns.
uint64_t wr_tally_bucket_max(uint32_t bucket);
