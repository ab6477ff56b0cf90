#pragma once
/// How often something was asked for of late, in a byte each: a counting sketch (TinyLFU's).
///
/// Four counters for each hash; the smallest of them is the estimate, never below the true count of
/// the period and seldom above. All are halved when as many things were counted as the sample
/// holds, so what was popular fades. Memory is the caller's; it holds its lock. A torn sketch is a
/// sketch: nothing needs repair but `wr_sketch_clear` after arbitrary bytes.

#include <stddef.h>
#include <stdint.h>

enum { WR_SKETCH_TOP = 15 };

struct wr_sketch {
  uint8_t *counters; ///< the caller's
  uint64_t count;    ///< of counters, a power of two
};

/// Counts one occurrence.
void wr_sketch_add(const struct wr_sketch *s, uint64_t hash);

/// The estimate, up to WR_SKETCH_TOP.
unsigned wr_sketch_get(const struct wr_sketch *s, uint64_t hash);

/// Halves all counters.
void wr_sketch_age(const struct wr_sketch *s);

/// Forgets everything.
void wr_sketch_clear(const struct wr_sketch *s);
