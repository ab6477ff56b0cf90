#include "upstream/alias.h"

#include "base/alloc.h"

// Shares of 2^32 for a mean weight. A cell keeps all when its share is 2^32, which does not fit:
// the other of such a cell is itself.
void wr_alias_fill(struct wr_alias_cell *cells, const uint32_t *weights, size_t count)
{
  uint64_t sum = 0;
  for (size_t i = 0; i < count; i++) sum += weights[i];
  double *share = wr_alloc(count * sizeof(*share));
  uint32_t *order =
      wr_alloc(count * sizeof(*order)); // small ones from the front, large from behind
  size_t small = 0;
  size_t large = count;
  for (size_t i = 0; i < count; i++) {
    share[i] = (double)weights[i] * (double)count / (double)sum;
    if (share[i] < 1) {
      order[small++] = (uint32_t)i;
    } else {
      order[--large] = (uint32_t)i;
    }
  }
  for (size_t i = 0; i < count; i++) cells[i] = (struct wr_alias_cell){UINT32_MAX, (uint32_t)i};
  size_t done = 0;
  while (done < small && large < count) {
    uint32_t poor = order[done++];
    uint32_t rich = order[large];
    cells[poor] = (struct wr_alias_cell){(uint32_t)(share[poor] * 4294967296.0), rich};
    share[rich] -= 1 - share[poor];
    if (share[rich] >= 1) continue;
    large++;
    order[small++] = rich;
  }
  wr_free(share);
  wr_free(order);
}
