#include "resilience/window.h"

#include "base/archive.h"
#include "base/check.h"

#include <string.h>

enum { TOTAL, FAILURE, SLOW }; // columns of the rolling counters

static bool bit_get(const uint64_t *bits, uint32_t at)
{
  return (bits[at / 64] >> (at % 64)) & 1;
}

static void bit_set(uint64_t *bits, uint32_t at, bool on)
{
  uint64_t mask = UINT64_C(1) << (at % 64);
  bits[at / 64] = on ? bits[at / 64] | mask : bits[at / 64] & ~mask;
}

// The last N calls

static void ring_init(struct wr_window_ring *r, uint32_t size)
{
  *r = (struct wr_window_ring){.size = size};
}

static void ring_add(struct wr_window_ring *r, bool failure, bool slow)
{
  uint32_t at = r->next;
  if (r->count == r->size) {
    r->sum.failure -= bit_get(r->failure, at);
    r->sum.slow -= bit_get(r->slow, at);
  } else {
    r->count++;
  }
  bit_set(r->failure, at, failure);
  bit_set(r->slow, at, slow);
  r->sum.total = r->count;
  r->sum.failure += failure;
  r->sum.slow += slow;
  r->next = at + 1 < r->size ? at + 1 : 0;
}

// Refills `r` with the newest of its own calls; also recomputes the sums, which need not be right.
static void ring_refill(struct wr_window_ring *r, uint32_t size)
{
  struct wr_window_ring old = *r;
  uint32_t keep = old.count < size ? old.count : size;
  ring_init(r, size);
  for (uint32_t i = keep; i > 0; i--) {
    uint32_t at = (old.next + old.size - i) % old.size;
    ring_add(r, bit_get(old.failure, at), bit_get(old.slow, at));
  }
}

static void ring_repair(struct wr_window_ring *r, uint32_t size)
{
  if (r->size == 0 || r->size > WR_WINDOW_CALLS_MAX) {
    ring_init(r, size);
    return;
  }
  if (r->count > r->size) r->count = r->size;
  if (r->next >= r->size) r->next = 0;
  ring_refill(r, size);
}

// Both kinds

void wr_window_init(struct wr_window *w, enum wr_window_kind kind, uint64_t size)
{
  *w = (struct wr_window){.kind = (uint8_t)kind};
  if (kind == WR_WINDOW_COUNT) {
    WR_CHECK(size >= 1 && size <= WR_WINDOW_CALLS_MAX);
    ring_init(&w->ring, (uint32_t)size);
  } else {
    wr_rolling_init(&w->rolling, size);
  }
}

void wr_window_clear(struct wr_window *w)
{
  if (w->kind == WR_WINDOW_COUNT) {
    ring_init(&w->ring, w->ring.size);
  } else {
    wr_rolling_clear(&w->rolling);
  }
}

void wr_window_add(struct wr_window *w, uint64_t now_ns, bool failure, bool slow)
{
  if (w->kind == WR_WINDOW_COUNT) {
    ring_add(&w->ring, failure, slow);
    return;
  }
  wr_rolling_add(&w->rolling, now_ns, TOTAL, 1);
  if (failure) wr_rolling_add(&w->rolling, now_ns, FAILURE, 1);
  if (slow) wr_rolling_add(&w->rolling, now_ns, SLOW, 1);
}

struct wr_window_sum wr_window_sum(struct wr_window *w, uint64_t now_ns)
{
  if (w->kind == WR_WINDOW_COUNT) return w->ring.sum;
  return (struct wr_window_sum){
      .total = wr_rolling_sum(&w->rolling, now_ns, TOTAL),
      .failure = wr_rolling_sum(&w->rolling, now_ns, FAILURE),
      .slow = wr_rolling_sum(&w->rolling, now_ns, SLOW),
  };
}

bool wr_window_is_clean(const struct wr_window *w)
{
  if (w->kind == WR_WINDOW_COUNT) return (w->ring.sum.failure | w->ring.sum.slow) == 0;
  return (w->rolling.sum[FAILURE] | w->rolling.sum[SLOW]) == 0;
}

void wr_window_reshape(struct wr_window *w, enum wr_window_kind kind, uint64_t size,
                       uint64_t now_ns)
{
  if (w->kind != kind) {
    wr_window_init(w, kind, size);
  } else if (kind == WR_WINDOW_TIME) {
    wr_rolling_reshape(&w->rolling, now_ns, size);
  } else if (w->ring.size != size) {
    ring_refill(&w->ring, (uint32_t)size);
  }
}

// A failure or slow count above the total cannot come from adding calls.
static void clamp_columns(struct wr_rolling *r)
{
  for (int s = 0; s < WR_ROLLING_SLOTS; s++) {
    uint32_t *slot = r->slot[s];
    if (slot[FAILURE] > slot[TOTAL]) slot[FAILURE] = slot[TOTAL];
    if (slot[SLOW] > slot[TOTAL]) slot[SLOW] = slot[TOTAL];
  }
}

void wr_window_repair(struct wr_window *w, enum wr_window_kind kind, uint64_t size, uint64_t now_ns)
{
  if (w->kind != kind) {
    wr_window_init(w, kind, size);
  } else if (kind == WR_WINDOW_COUNT) {
    ring_repair(&w->ring, (uint32_t)size);
  } else {
    clamp_columns(&w->rolling);
    wr_rolling_repair(&w->rolling, now_ns, size);
  }
}

// A call each, oldest first: well, failed, slow, both.
static const char signs[] = ".fsb";

static void ring_write(const struct wr_window_ring *r, char text[WR_WINDOW_CALLS_MAX + 1])
{
  uint32_t count = r->size > 0 && r->count <= r->size ? r->count : 0;
  for (uint32_t i = 0; i < count; i++) {
    uint32_t at = (r->next + r->size - count + i) % r->size;
    text[i] = signs[bit_get(r->failure, at) + 2 * bit_get(r->slow, at)];
  }
  text[count] = '\0';
}

static void ring_archive(struct wr_window_ring *r, struct wr_archive *a)
{
  char text[WR_WINDOW_CALLS_MAX + 1];
  ring_write(r, text);
  wr_archive_text(a, "calls", text, sizeof(text));
  if (!wr_archive_is_reading(a)) return;
  ring_init(r, r->size);
  for (const char *c = text; *c != '\0'; c++) {
    const char *sign = strchr(signs, *c);
    if (sign != NULL) ring_add(r, (sign - signs) & 1, (sign - signs) & 2);
  }
}

void wr_window_archive(struct wr_window *w, struct wr_archive *a)
{
  if (w->kind == WR_WINDOW_COUNT) {
    ring_archive(&w->ring, a);
  } else {
    wr_rolling_archive(&w->rolling, a, "window");
  }
}
