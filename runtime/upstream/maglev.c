#include "upstream/maglev.h"

#include "base/alloc.h"
#include "base/check.h"
#include "upstream/ring.h"

enum { FREE = UINT16_MAX };

struct wr_maglev_member wr_maglev_member(uint64_t id, uint32_t weight)
{
  uint64_t other = wr_ring_mix(id ^ UINT64_C(0x6a09e667f3bcc909));
  return (struct wr_maglev_member){(uint32_t)(wr_ring_mix(id) % WR_MAGLEV_SIZE),
                                   (uint32_t)(other % (WR_MAGLEV_SIZE - 1)) + 1, weight};
}

// Takes the next place that the member wants and that is free; there is one.
static void take(uint16_t *table, uint32_t size, const struct wr_maglev_member *m, uint32_t *at,
                 size_t member)
{
  while (table[*at] != FREE) *at = (*at + m->skip) % size;
  table[*at] = (uint16_t)member;
}

void wr_maglev_fill(uint16_t *table, uint32_t size, const struct wr_maglev_member *members,
                    size_t count)
{
  WR_CHECK(count > 0 && count < FREE);
  uint32_t *at = wr_alloc(count * sizeof(*at));
  uint64_t *credit = wr_alloc(count * sizeof(*credit));
  uint64_t most = 0;
  for (size_t i = 0; i < count; i++) {
    at[i] = members[i].offset;
    if (members[i].weight > most) most = members[i].weight;
  }
  for (uint32_t i = 0; i < size; i++) table[i] = FREE;
  // In each round the heaviest takes one place, others when their credit has grown to that.
  for (uint32_t taken = 0; taken < size;) {
    for (size_t i = 0; i < count && taken < size; i++) {
      credit[i] += members[i].weight;
      if (credit[i] < most) continue;
      credit[i] -= most;
      take(table, size, &members[i], &at[i], i);
      taken++;
    }
  }
  wr_free(at);
  wr_free(credit);
}
