#include "resilience/toplist.h"

#include <stdbool.h>

static bool is_current(const struct wr_toplist_row *row, uint64_t now_ns)
{
  // Torn bytes, too, end here: what was seen in the future was not.
  return row->key != 0 && row->seen_ns <= now_ns && now_ns - row->seen_ns < WR_TOPLIST_PAUSE_NS;
}

static uint64_t least(const struct wr_toplist_row *row)
{
  return row->count > row->excess ? row->count - row->excess : 0;
}

void wr_toplist_count(struct wr_toplist *t, uint64_t key, uint64_t now_ns)
{
  struct wr_toplist_row *place = &t->rows[0];
  uint64_t smallest = UINT64_MAX;
  if (key == 0) return;
  for (int i = 0; i < WR_TOPLIST_ROWS; i++) {
    struct wr_toplist_row *row = &t->rows[i];
    uint64_t count = is_current(row, now_ns) ? row->count : 0;
    if (count > 0 && row->key == key) {
      row->count++;
      row->seen_ns = now_ns;
      return;
    }
    if (count < smallest) {
      smallest = count;
      place = row;
    }
  }
  *place = (struct wr_toplist_row){key, now_ns, smallest + 1, smallest};
}

size_t wr_toplist_read(const struct wr_toplist *t, uint64_t now_ns,
                       struct wr_toplist_entry out[WR_TOPLIST_ROWS])
{
  size_t count = 0;
  for (int i = 0; i < WR_TOPLIST_ROWS; i++) {
    const struct wr_toplist_row *row = &t->rows[i];
    struct wr_toplist_entry entry = {row->key, least(row), row->seen_ns};
    if (!is_current(row, now_ns) || entry.count == 0) continue;
    size_t at = count++;
    for (; at > 0 && out[at - 1].count < entry.count; at--) out[at] = out[at - 1];
    out[at] = entry;
  }
  return count;
}
