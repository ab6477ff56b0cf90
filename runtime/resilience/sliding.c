#include "resilience/sliding.h"

#include "base/check.h"

enum { RING = WR_SLIDING_PARTS + 1 };

uint64_t wr_sliding_part_ns(uint64_t window_ns)
{
  return (window_ns + WR_SLIDING_PARTS - 1) / WR_SLIDING_PARTS;
}

static uint32_t part_at(uint64_t now_ns, uint64_t part_ns)
{
  return (uint32_t)(now_ns / part_ns);
}

// How many eighths have begun since the newest counted one; a clock behind it has not moved.
static uint32_t parts_since(const struct wr_sliding *s, uint64_t part_ns, uint64_t now_ns)
{
  int32_t since = (int32_t)(part_at(now_ns, part_ns) - s->part);
  return since > 0 ? (uint32_t)since : 0;
}

// The count of the eighth `back` before the newest counted one.
static uint32_t count_back(const struct wr_sliding *s, uint32_t back)
{
  return s->counts[(s->part % RING + RING - back) % RING];
}

uint64_t wr_sliding_used(const struct wr_sliding *s, uint64_t part_ns, uint64_t now_ns)
{
  uint32_t since = parts_since(s, part_ns, now_ns);
  uint64_t sum = 0;
  for (uint32_t back = 0; since + back < RING; back++) sum += count_back(s, back);
  return sum;
}

// When the eighth `back` before the newest counted one leaves the ring.
static uint64_t end_ns(const struct wr_sliding *s, uint64_t part_ns, uint64_t now_ns, uint32_t back)
{
  uint64_t newest = now_ns / part_ns;
  int32_t since = (int32_t)((uint32_t)newest - s->part);
  return (newest - (uint64_t)(int64_t)since - back + RING) * part_ns;
}

uint64_t wr_sliding_when(const struct wr_sliding *s, uint64_t part_ns, uint64_t limit,
                         uint64_t cost, uint64_t now_ns)
{
  if (cost > limit) return UINT64_MAX;
  uint64_t used = wr_sliding_used(s, part_ns, now_ns);
  if (used + cost <= limit) return now_ns;
  uint32_t since = parts_since(s, part_ns, now_ns);
  for (uint32_t back = RING - 1 - since; back > 0; back--) {
    used -= count_back(s, back);
    if (used + cost <= limit) return end_ns(s, part_ns, now_ns, back);
  }
  return end_ns(s, part_ns, now_ns, 0);
}

static void roll(struct wr_sliding *s, uint64_t part_ns, uint64_t now_ns)
{
  uint32_t since = parts_since(s, part_ns, now_ns);
  for (uint32_t i = 1; i <= since && i <= RING; i++) s->counts[(s->part % RING + i) % RING] = 0;
  if (since > 0) s->part = part_at(now_ns, part_ns);
}

void wr_sliding_spend(struct wr_sliding *s, uint64_t part_ns, uint32_t cost, uint64_t now_ns)
{
  roll(s, part_ns, now_ns);
  uint32_t *count = &s->counts[s->part % RING];
  *count = *count > UINT32_MAX - cost ? UINT32_MAX : *count + cost;
}

uint64_t wr_sliding_reset(const struct wr_sliding *s, uint64_t part_ns, uint64_t now_ns)
{
  uint32_t since = parts_since(s, part_ns, now_ns);
  for (uint32_t back = 0; since + back < RING; back++) {
    if (count_back(s, back) > 0) return end_ns(s, part_ns, now_ns, back);
  }
  return now_ns;
}

void wr_sliding_rescale(struct wr_sliding *s, uint64_t from_part_ns, uint64_t to_part_ns,
                        uint64_t now_ns)
{
  if (from_part_ns == to_part_ns) return;
  struct wr_sliding made = {.part = part_at(now_ns, to_part_ns)};
  uint32_t since = parts_since(s, from_part_ns, now_ns);
  for (uint32_t back = 0; since + back < RING; back++) {
    // The last moment at which these calls can have been made.
    uint64_t last_ns = end_ns(s, from_part_ns, now_ns, back) - WR_SLIDING_PARTS * from_part_ns - 1;
    if (last_ns > now_ns) last_ns = now_ns;
    uint64_t ago = now_ns / to_part_ns - last_ns / to_part_ns;
    if (ago >= RING) continue;
    made.counts[(made.part % RING + RING - (uint32_t)ago) % RING] += count_back(s, back);
  }
  *s = made;
}

void wr_sliding_merge(struct wr_sliding *s, const struct wr_sliding *other, uint64_t part_ns,
                      uint64_t now_ns)
{
  struct wr_sliding from = *other;
  roll(s, part_ns, now_ns);
  roll(&from, part_ns, now_ns);
  for (uint32_t i = 0; i < RING; i++) {
    if (from.counts[i] > s->counts[i]) s->counts[i] = from.counts[i];
  }
}

void wr_sliding_repair(struct wr_sliding *s, uint64_t part_ns, uint64_t now_ns)
{
  uint32_t now = part_at(now_ns, part_ns);
  if ((int32_t)(s->part - now) > 1) s->part = now;
}
