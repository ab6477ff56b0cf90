#include "upstream/ring.h"

#include "base/alloc.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
  const struct wr_ring_point *x = a;
  const struct wr_ring_point *y = b;
  if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
  return (x->member > y->member) - (x->member < y->member);
}

static size_t points_wanted(size_t members)
{
  size_t wanted = members * WR_RING_POINTS_EACH;
  if (wanted < WR_RING_POINTS_MIN) wanted = WR_RING_POINTS_MIN;
  return wanted > WR_RING_POINTS_MAX ? WR_RING_POINTS_MAX : wanted;
}

void wr_ring_fill(struct wr_ring *r, const uint64_t *ids, const uint32_t *weights, size_t count)
{
  size_t wanted = points_wanted(count);
  uint64_t sum = 0;
  for (size_t i = 0; i < count; i++) sum += weights[i];
  wr_ring_fini(r);
  // Rounding up gives each member less than one point more than its share.
  r->points = wr_alloc((wanted + count) * sizeof(*r->points));
  for (size_t i = 0; i < count; i++) {
    uint64_t own = (wanted * (uint64_t)weights[i] + sum - 1) / sum;
    for (uint64_t k = 0; k < own; k++) {
      uint64_t hash = wr_ring_mix(wr_ring_mix(ids[i]) + (k + 1) * UINT64_C(0x9e3779b97f4a7c15));
      r->points[r->count++] = (struct wr_ring_point){hash, (uint32_t)i};
    }
  }
  qsort(r->points, r->count, sizeof(*r->points), compare);
}

void wr_ring_fini(struct wr_ring *r)
{
  wr_free(r->points);
  *r = (struct wr_ring){0};
}

size_t wr_ring_start(const struct wr_ring *r, uint64_t hash)
{
  size_t low = 0;
  size_t high = r->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (r->points[middle].hash < hash) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low == r->count ? 0 : low;
}
