#include "resilience/rolling.h"

#include "base/archive.h"

#include <stdbool.h>
#include <string.h>

enum { COUNT_MAX = 100000000 }; // of a slot after a repair: ten of them cannot wrap a sum

static uint64_t width_of(uint64_t span_ns)
{
  uint64_t width = span_ns / WR_ROLLING_SLOTS;
  return width > 0 ? width : 1;
}

static void set_turn(struct wr_rolling *r, uint64_t turn)
{
  r->turn = turn;
  r->end_ns = (turn + 1) * r->width_ns;
  r->newest = (uint32_t)(turn % WR_ROLLING_SLOTS);
}

void wr_rolling_init(struct wr_rolling *r, uint64_t span_ns)
{
  *r = (struct wr_rolling){.width_ns = width_of(span_ns)};
  set_turn(r, 0);
}

void wr_rolling_clear(struct wr_rolling *r)
{
  memset(r->slot, 0, sizeof(r->slot));
  memset(r->sum, 0, sizeof(r->sum));
}

static void forget(struct wr_rolling *r, uint64_t turn)
{
  uint32_t *slot = r->slot[turn % WR_ROLLING_SLOTS];
  for (int c = 0; c < WR_ROLLING_COLUMNS; c++) {
    r->sum[c] -= slot[c];
    slot[c] = 0;
  }
}

static void turn_over(struct wr_rolling *r, uint64_t now_ns)
{
  uint64_t turn = now_ns / r->width_ns;
  if (turn - r->turn >= WR_ROLLING_SLOTS) {
    wr_rolling_clear(r);
  } else {
    for (uint64_t t = r->turn + 1; t <= turn; t++) forget(r, t);
  }
  set_turn(r, turn);
}

static void roll(struct wr_rolling *r, uint64_t now_ns)
{
  if (now_ns >= r->end_ns) turn_over(r, now_ns);
}

static void count(struct wr_rolling *r, uint32_t slot, int column, uint32_t n)
{
  // The sum bounds every slot, so one check keeps both from wrapping.
  uint32_t room = UINT32_MAX - r->sum[column];
  if (n > room) n = room;
  r->slot[slot][column] += n;
  r->sum[column] += n;
}

void wr_rolling_add(struct wr_rolling *r, uint64_t now_ns, int column, uint32_t n)
{
  roll(r, now_ns);
  count(r, r->newest, column, n);
}

uint32_t wr_rolling_sum(struct wr_rolling *r, uint64_t now_ns, int column)
{
  roll(r, now_ns);
  return r->sum[column];
}

// Where the counts of an old slot go: all of them to where its end lies, so none is forgotten
// early.
static void move_slot(struct wr_rolling *r, const struct wr_rolling *old, uint64_t turn,
                      uint64_t present_ns)
{
  uint64_t end = turn * old->width_ns + (old->width_ns - 1);
  uint64_t to = (end < present_ns ? end : present_ns) / r->width_ns;
  if (r->turn - to >= WR_ROLLING_SLOTS) return;
  for (int c = 0; c < WR_ROLLING_COLUMNS; c++) {
    count(r, (uint32_t)(to % WR_ROLLING_SLOTS), c, old->slot[turn % WR_ROLLING_SLOTS][c]);
  }
}

void wr_rolling_reshape(struct wr_rolling *r, uint64_t now_ns, uint64_t span_ns)
{
  roll(r, now_ns);
  if (r->width_ns == width_of(span_ns)) return;
  struct wr_rolling old = *r;
  uint64_t head_ns = old.turn * old.width_ns;
  uint64_t present_ns = now_ns > head_ns ? now_ns : head_ns;
  wr_rolling_init(r, span_ns);
  set_turn(r, present_ns / r->width_ns);
  for (uint64_t i = 0; i < WR_ROLLING_SLOTS && i <= old.turn; i++) {
    move_slot(r, &old, old.turn - i, present_ns);
  }
}

// Counts that no traffic reaches are torn bytes.
static bool is_plausible(const struct wr_rolling *r)
{
  for (int s = 0; s < WR_ROLLING_SLOTS; s++) {
    for (int c = 0; c < WR_ROLLING_COLUMNS; c++) {
      if (r->slot[s][c] > COUNT_MAX) return false;
    }
  }
  return true;
}

void wr_rolling_repair(struct wr_rolling *r, uint64_t now_ns, uint64_t span_ns)
{
  // Torn while being reshaped: which slot means which time is not known any more.
  if (r->width_ns != width_of(span_ns) || !is_plausible(r)) wr_rolling_init(r, span_ns);
  uint64_t turn = now_ns / r->width_ns;
  set_turn(r, r->turn < turn ? r->turn : turn);
  for (int c = 0; c < WR_ROLLING_COLUMNS; c++) {
    r->sum[c] = 0;
    for (int s = 0; s < WR_ROLLING_SLOTS; s++) r->sum[c] += r->slot[s][c];
  }
}

// The slots oldest first, and when the newest began. Whose width is another starts empty.
void wr_rolling_archive(struct wr_rolling *r, struct wr_archive *a, const char *key)
{
  enum { COUNTS = WR_ROLLING_SLOTS * WR_ROLLING_COLUMNS };
  struct wr_archive inner = wr_archive_open(a, key);
  uint64_t width_ns = r->width_ns;
  uint64_t newest_ns = r->turn * r->width_ns;
  uint32_t counts[COUNTS] = {0};
  for (uint64_t i = 0; i < COUNTS; i++) {
    uint64_t turn = r->turn + 1 + i / WR_ROLLING_COLUMNS;
    counts[i] = r->slot[turn % WR_ROLLING_SLOTS][i % WR_ROLLING_COLUMNS];
  }
  wr_archive_u64(&inner, "slot_ns", &width_ns);
  wr_archive_time(&inner, "newest", &newest_ns);
  wr_archive_u32s(&inner, "counts", counts, COUNTS);
  wr_archive_close(&inner);
  if (!wr_archive_is_reading(a) || width_ns != r->width_ns) return;
  // Rounded up: none is forgotten early.
  set_turn(r, newest_ns / r->width_ns + (newest_ns % r->width_ns != 0));
  for (uint64_t i = 0; i < COUNTS; i++) {
    uint64_t turn = r->turn + 1 + i / WR_ROLLING_COLUMNS;
    r->slot[turn % WR_ROLLING_SLOTS][i % WR_ROLLING_COLUMNS] = counts[i];
  }
}
