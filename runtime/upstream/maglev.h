#pragma once
/// Maglev's lookup table (Eisenbud et al. 2016): members take places of a prime-sized table in
/// turn, each in an order of its own, until it is full.
///
/// More even than a ring and found in one step; when the set of members changes a few keys move
/// that a ring would have left. Built for a set of members; who may not be used at the moment is
/// skipped by walking on. Pure; one owner.

#include <stddef.h>
#include <stdint.h>

enum { WR_MAGLEV_SIZE = 65537 }; ///< prime

/// The order in which a member asks for places: `offset`, `offset + skip`, … modulo the size.
struct wr_maglev_member {
  uint32_t offset;
  uint32_t skip; ///< 1 … size - 1
  uint32_t weight;
};

/// Fills `table` of prime `size` with numbers of the `count` members; by the weights, each takes
/// its turn so often.
void wr_maglev_fill(uint16_t *table, uint32_t size, const struct wr_maglev_member *members,
                    size_t count);

/// The order of a member whose name has the hash `id`, for a table of WR_MAGLEV_SIZE.
struct wr_maglev_member wr_maglev_member(uint64_t id, uint32_t weight);
