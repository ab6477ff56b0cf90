#pragma once
/// Endpoints that a request should not meet again: the newest WR_TRIED_MAX of those that it met.
///
/// Plain data; zeroed memory is none.

#include <stdbool.h>
#include <stdint.h>

enum { WR_TRIED_MAX = 16 };

struct wr_tried {
  const void *of;             ///< the upstream whose they are
  uint32_t count;             ///< private: since the beginning
  uint32_t ids[WR_TRIED_MAX]; // private
};

/// Notes one.
static inline void wr_tried_add(struct wr_tried *t, uint64_t id)
{
  t->ids[t->count++ % WR_TRIED_MAX] = (uint32_t)id;
}

static inline bool wr_tried_has(const struct wr_tried *t, uint64_t id)
{
  uint32_t kept = t->count < WR_TRIED_MAX ? t->count : WR_TRIED_MAX;
  for (uint32_t i = 0; i < kept; i++) {
    if (t->ids[i] == (uint32_t)id) return true;
  }
  return false;
}
