#pragma once
/// Draws from a few numbers by their weights in constant time (alias method, Vose 1991).
///
/// Pure; one owner. Equal weights need no table.

#include <stddef.h>
#include <stdint.h>

struct wr_alias_cell {
  uint32_t keep; ///< private: of 2^32 draws of this cell so many stay
  uint32_t other;
};

/// Fills `cells` for `count` weights, of which at least one is not 0. The sum fits 32 bits.
void wr_alias_fill(struct wr_alias_cell *cells, const uint32_t *weights, size_t count);

/// A number below `count`, by the weights that filled `cells` (NULL: all the same), from 64 random
/// bits.
static inline size_t wr_alias_draw(const struct wr_alias_cell *cells, size_t count, uint64_t bits)
{
  size_t at = (size_t)((bits >> 32) * count >> 32);
  if (cells == NULL || (uint32_t)bits < cells[at].keep) return at;
  return cells[at].other;
}
