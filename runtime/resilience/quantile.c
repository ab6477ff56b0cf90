#include "resilience/quantile.h"

#include <string.h>

enum {
  UNIT_BITS = 10,        // durations are counted in 1024 ns
  SUB_BITS = 4,          // buckets of a power of two: 16
  SUB = 1 << SUB_BITS,   //
  COUNT_MAX = 100000000, // of a turn after a repair: sums cannot wrap
};

static uint64_t width_of(uint64_t span_ns)
{
  uint64_t width = span_ns / WR_QUANTILE_TURNS;
  return width > 0 ? width : 1;
}

void wr_quantile_init(struct wr_quantile *q, uint64_t span_ns)
{
  memset(q, 0, sizeof(*q));
  q->width_ns = width_of(span_ns);
}

// Log-linear: units below 16 have a bucket each, every power of two above has sixteen.

static uint32_t bucket_of(uint64_t duration_ns)
{
  uint64_t units = duration_ns >> UNIT_BITS;
  if (units < SUB) return (uint32_t)units;
  uint32_t octave = 63 - (uint32_t)__builtin_clzll(units) - SUB_BITS;
  if (octave >= WR_QUANTILE_OCTAVES) return WR_QUANTILE_BUCKETS - 1;
  return SUB * (octave + 1) + (uint32_t)(units >> octave & (SUB - 1));
}

// The first duration that is past the bucket.
static uint64_t end_of(uint32_t bucket)
{
  if (bucket < SUB) return (uint64_t)(bucket + 1) << UNIT_BITS;
  uint32_t octave = bucket / SUB - 1;
  return (uint64_t)(SUB + bucket % SUB + 1) << octave << UNIT_BITS;
}

static void roll(struct wr_quantile *q, uint64_t now_ns)
{
  uint64_t turn = now_ns / q->width_ns;
  if (turn <= q->turn) return;
  uint64_t passed = turn - q->turn;
  if (passed > WR_QUANTILE_TURNS) passed = WR_QUANTILE_TURNS;
  for (uint64_t i = 0; i < passed; i++) {
    memset(&q->turns[(turn - i) % WR_QUANTILE_TURNS], 0, sizeof(q->turns[0]));
  }
  q->turn = turn;
}

void wr_quantile_add(struct wr_quantile *q, uint64_t now_ns, uint64_t duration_ns, bool is_censored)
{
  roll(q, now_ns);
  struct wr_quantile_turn *turn = &q->turns[q->turn % WR_QUANTILE_TURNS];
  uint32_t *sum = is_censored ? &turn->censored : &turn->events;
  uint32_t *column = is_censored ? turn->cut : turn->ended;
  if (*sum == UINT32_MAX) return; // the sum bounds every bucket
  *sum += 1;
  column[bucket_of(duration_ns)]++;
}

uint64_t wr_quantile_events(struct wr_quantile *q, uint64_t now_ns)
{
  uint64_t events = 0;
  roll(q, now_ns);
  for (int i = 0; i < WR_QUANTILE_TURNS; i++) events += q->turns[i].events;
  return events;
}

static uint64_t total_of(const struct wr_quantile *q)
{
  uint64_t total = 0;
  for (int i = 0; i < WR_QUANTILE_TURNS; i++) {
    total += (uint64_t)q->turns[i].events + q->turns[i].censored;
  }
  return total;
}

// Product limit: of those that were still running at a bucket's start, which share went on? What
// was cut short inside the bucket counts as running to its end.
uint64_t wr_quantile_at(struct wr_quantile *q, uint64_t now_ns, double p)
{
  roll(q, now_ns);
  uint64_t running = total_of(q);
  uint64_t longest = 0;
  double survival = 1;
  for (uint32_t b = 0; b < WR_QUANTILE_BUCKETS && running > 0; b++) {
    uint64_t ended = 0;
    uint64_t cut = 0;
    for (int i = 0; i < WR_QUANTILE_TURNS; i++) {
      ended += q->turns[i].ended[b];
      cut += q->turns[i].cut[b];
    }
    if (ended + cut == 0) continue;
    longest = end_of(b);
    survival *= 1 - (double)ended / (double)running;
    // A rounding error of the product is not a call.
    if (ended > 0 && 1 - survival >= p - 1e-9) return longest;
    running -= ended + cut;
  }
  return longest;
}

static void add_up(uint32_t *to, const uint32_t *from)
{
  for (int b = 0; b < WR_QUANTILE_BUCKETS; b++) to[b] += from[b];
}

// What an old turn holds goes to where its end lies, so that nothing is forgotten early.
static void move_turn(struct wr_quantile *q, const struct wr_quantile *old, uint64_t turn,
                      uint64_t present_ns)
{
  const struct wr_quantile_turn *from = &old->turns[turn % WR_QUANTILE_TURNS];
  uint64_t end = turn * old->width_ns + (old->width_ns - 1);
  uint64_t at = (end < present_ns ? end : present_ns) / q->width_ns;
  if (q->turn - at >= WR_QUANTILE_TURNS) return;
  struct wr_quantile_turn *to = &q->turns[at % WR_QUANTILE_TURNS];
  // The sum bounds every bucket; what has no room is a sample among four thousand million.
  if (UINT32_MAX - to->events < from->events || UINT32_MAX - to->censored < from->censored) return;
  to->events += from->events;
  to->censored += from->censored;
  add_up(to->ended, from->ended);
  add_up(to->cut, from->cut);
}

void wr_quantile_reshape(struct wr_quantile *q, uint64_t now_ns, uint64_t span_ns)
{
  roll(q, now_ns);
  if (q->width_ns == width_of(span_ns)) return;
  struct wr_quantile old = *q; // 19 KiB
  uint64_t head_ns = old.turn * old.width_ns;
  uint64_t present_ns = now_ns > head_ns ? now_ns : head_ns;
  wr_quantile_init(q, span_ns);
  q->turn = present_ns / q->width_ns;
  for (uint64_t i = 0; i < WR_QUANTILE_TURNS && i <= old.turn; i++) {
    move_turn(q, &old, old.turn - i, present_ns);
  }
}

static bool is_whole(const struct wr_quantile_turn *turn)
{
  uint64_t ended = 0;
  uint64_t cut = 0;
  for (int b = 0; b < WR_QUANTILE_BUCKETS; b++) {
    ended += turn->ended[b];
    cut += turn->cut[b];
  }
  return ended == turn->events && cut == turn->censored && ended <= COUNT_MAX && cut <= COUNT_MAX;
}

// A turn that contradicts itself is forgotten: five samples are not worth a guess.
void wr_quantile_repair(struct wr_quantile *q, uint64_t now_ns, uint64_t span_ns)
{
  if (q->width_ns != width_of(span_ns)) wr_quantile_init(q, span_ns);
  uint64_t turn = now_ns / q->width_ns;
  if (q->turn > turn) q->turn = turn;
  for (int i = 0; i < WR_QUANTILE_TURNS; i++) {
    if (!is_whole(&q->turns[i])) memset(&q->turns[i], 0, sizeof(q->turns[i]));
  }
}
