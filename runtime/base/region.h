#pragma once
/// Memory that dies all at once: one request's strings and small structures.
///
/// Bump allocation from blocks; freed together by `wr_region_fini`. `wr_region_clear` keeps some,
/// so that the next request of the same kind allocates nothing. Pointers stay valid until clear or
/// fini. One owner, one thread.

#include "base/str.h"

enum { WR_REGION_KEEP = 16 * 1024 }; ///< bytes of blocks that outlive `wr_region_clear`

struct wr_region_block;

struct wr_region {
  struct wr_region_block *first; ///< private
  struct wr_region_block *last;  ///< private: the one being filled
  char *at;                      ///< private: what is free of it
  char *end;                     ///< private: before the end of it, if `max` comes sooner
  size_t total;                  ///< read-only: bytes handed out since the last clear
  size_t max;                    ///< read-only
};

/// Starts empty; `max` bounds all bytes handed out between two clears.
void wr_region_init(struct wr_region *r, size_t max);
void wr_region_fini(struct wr_region *r);

/// Forgets everything handed out, and gives back what passes WR_REGION_KEEP.
void wr_region_clear(struct wr_region *r);

/// `size` bytes aligned to 16, not cleared; NULL past the maximum.
void *wr_region_take(struct wr_region *r, size_t size);

/// A NUL-terminated copy of `s` as a slice; `{NULL, 0}` past the maximum.
struct wr_str wr_region_copy(struct wr_region *r, struct wr_str s);
