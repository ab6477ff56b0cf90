#pragma once
/// Who ordered what stands above a policy, and when. A part of shared states, written and read
/// under their locks.

#include "base/str.h"

#include <stdint.h>

enum { WR_ORDER_NOTE_BY = 56 }; ///< bytes of a name with its NUL; longer ones are cut

/// Zeroed memory: nobody ordered anything.
struct wr_order_note {
  uint64_t at_ns;            ///< read-only: monotonic; 0: never
  char by[WR_ORDER_NOTE_BY]; ///< private
};

/// `by` ordered something now.
static inline void wr_order_note_set(struct wr_order_note *n, const char *by, uint64_t now_ns)
{
  size_t len = strnlen(by, WR_ORDER_NOTE_BY - 1);
  memcpy(n->by, by, len);
  n->by[len] = '\0';
  n->at_ns = now_ns;
}

/// Who it was, whatever the bytes are.
static inline struct wr_str wr_order_note_by(const struct wr_order_note *n)
{
  return (struct wr_str){n->by, strnlen(n->by, WR_ORDER_NOTE_BY)};
}
