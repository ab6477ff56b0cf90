#pragma once
/// Consistent hashing on a ring (Karger et al. 1997): each member has points in proportion to its
/// weight, a key belongs to the first point at or after its hash.
///
/// Built for a set of members; who may not be used at the moment is skipped by walking on, so that
/// only the keys of that member move. Pure; one owner.

#include <stddef.h>
#include <stdint.h>

enum {
  WR_RING_POINTS_EACH = 160,    ///< of a member of mean weight, while there is room
  WR_RING_POINTS_MIN = 1024,    ///< of a ring
  WR_RING_POINTS_MAX = 1 << 17, ///< about; each member has at least one
};

struct wr_ring_point {
  uint64_t hash;
  uint32_t member;
};

struct wr_ring {
  struct wr_ring_point *points; ///< private: in order
  size_t count;                 ///< read-only
};

/// Builds the ring of `count` members: `ids` are hashes that name them, the same in all processes.
void wr_ring_fill(struct wr_ring *r, const uint64_t *ids, const uint32_t *weights, size_t count);

/// Frees it.
void wr_ring_fini(struct wr_ring *r);

/// Where the walk for `hash` begins: go on with `(at + 1) % count`.
size_t wr_ring_start(const struct wr_ring *r, uint64_t hash);

/// Spreads a hash whose bits are not all equally good (the finaliser of SplitMix64).
static inline uint64_t wr_ring_mix(uint64_t x)
{
  x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
  return x ^ (x >> 31);
}
