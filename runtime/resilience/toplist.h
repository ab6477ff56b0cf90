#pragma once
/// Which few of very many keys something happens to most ("space saving", Metwally 2005), so that
/// an operator sees whom a limiter refuses.
///
/// A key that is not among the few takes the place of the one with the least count and inherits it,
/// as the most that it may have been counted before; so a count is told without what was inherited:
/// it was at least that. Whoever had a pause of a minute is forgotten, so the list is about the
/// present. Pure, no allocation; may live in shared memory; the caller holds the lock.

#include <stddef.h>
#include <stdint.h>

enum { WR_TOPLIST_ROWS = 8 };

#define WR_TOPLIST_PAUSE_NS (UINT64_C(60) * 1000000000) ///< after which a key is forgotten

struct wr_toplist_row {
  uint64_t key;     ///< read-only: a hash; 0: nobody
  uint64_t seen_ns; ///< read-only: the last time
  uint64_t count;   // private: the most that it may be
  uint64_t excess;  // private: as much of that as was inherited
};

/// Zeroed memory: an empty list.
struct wr_toplist {
  struct wr_toplist_row rows[WR_TOPLIST_ROWS]; // private: in no order
};

/// It happened to `key`; 0: to nobody that has a name, which is not counted.
void wr_toplist_count(struct wr_toplist *t, uint64_t key, uint64_t now_ns);

/// One of the keys as it is told.
struct wr_toplist_entry {
  uint64_t key;
  uint64_t count;   ///< at least so often, without a pause of a minute between two times
  uint64_t seen_ns; ///< the last time
};

/// Writes those that were not forgotten, the highest count first; returns how many.
size_t wr_toplist_read(const struct wr_toplist *t, uint64_t now_ns,
                       struct wr_toplist_entry out[WR_TOPLIST_ROWS]);
