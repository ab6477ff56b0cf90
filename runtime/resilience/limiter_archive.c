// What of a limiter outlives the program: what its keys owe. Who waits ends with its process.

#include "base/archive.h"
#include "resilience/limiter_internal.h"

#include <string.h>

static const char *const algorithms[] = {"gcra", "sliding_window"};

// The eighths oldest first, and when the newest began.
static void archive_sliding(struct wr_sliding *s, uint64_t part_ns, struct wr_archive *a)
{
  enum { RING = WR_SLIDING_PARTS + 1 };
  uint64_t newest_ns = s->part * part_ns;
  uint32_t counts[RING] = {0};
  for (uint32_t i = 0; i < RING; i++) counts[i] = s->counts[(s->part % RING + 1 + i) % RING];
  wr_archive_time(a, "newest", &newest_ns);
  wr_archive_u32s(a, "counts", counts, RING);
  if (!wr_archive_is_reading(a)) return;
  // Rounded up: none is forgotten early.
  s->part = (uint32_t)(newest_ns / part_ns + (newest_ns % part_ns != 0));
  for (uint32_t i = 0; i < RING; i++) s->counts[(s->part % RING + 1 + i) % RING] = counts[i];
}

// A cell in the terms of `l`.
static void archive_cell(const struct wr_limiter *l, struct wr_limiter_cell *cell,
                         struct wr_archive *a)
{
  wr_archive_time(a, "drained", &cell->drained_ns);
  if (l->config.algorithm == WR_LIMITER_GCRA) {
    wr_archive_time(a, "owed", &cell->debt.owed_ns);
  } else {
    archive_sliding(&cell->debt.sliding, wr_sliding_part_ns(l->config.period_ns), a);
  }
}

static void write_keys(struct wr_limiter *l, struct wr_archive *a)
{
  struct wr_keyed table = wr_limiter_table(l);
  struct wr_archive list;
  struct wr_limiter_cell *cell;
  uint32_t at = 0;
  size_t count = 0;
  wr_archive_begin(&list, a, "keys", 0);
  while (count < WR_LIMITER_ARCHIVED_MAX && (cell = wr_keyed_each(&table, &at)) != NULL) {
    if (wr_limiter_cell_is_shared(cell) || !wr_limiter_cell_is_busy(cell, l, a->now_ns)) continue;
    struct wr_archive item = wr_archive_item(&list, count++);
    wr_archive_hash(&item, "key", &cell->head.key);
    archive_cell(l, cell, &item);
    wr_archive_close(&item);
  }
  wr_archive_end(&list);
}

// What a cell of `old` owes, as it was written, is owed by a cell of `l`.
static void read_cell(struct wr_limiter *l, uint64_t key, const struct wr_limiter *old,
                      struct wr_archive *a)
{
  struct wr_limiter_cell cell = {.drained_ns = 0};
  struct wr_limiter_cell converted = {.drained_ns = 0};
  archive_cell(old, &cell, a);
  wr_limiter_cell_repair(old, &cell, a->now_ns);
  wr_limiter_cell_convert(l, &converted, old, &cell, a->now_ns);
  if (!wr_limiter_cell_is_busy(&converted, l, a->now_ns)) return;
  wr_limiter_cell_merge(l, wr_limiter_cell_take(l, key, a->now_ns), &converted, a->now_ns);
}

static void read_keys(struct wr_limiter *l, const struct wr_limiter *old, struct wr_archive *a)
{
  struct wr_archive list;
  size_t count = wr_archive_begin(&list, a, "keys", 0);
  for (size_t i = 0; i < count && i < WR_LIMITER_ARCHIVED_MAX; i++) {
    struct wr_archive item = wr_archive_item(&list, i);
    uint64_t key = 0;
    wr_archive_hash(&item, "key", &key);
    if (key != 0) read_cell(l, wr_keyed_key(key), old, &item);
    wr_archive_close(&item);
  }
  wr_archive_end(&list);
}

static void archive_debts(struct wr_limiter *l, const struct wr_limiter *old, struct wr_archive *a)
{
  bool is_reading = wr_archive_is_reading(a);
  struct wr_archive all = wr_archive_open(a, "all");
  if (is_reading) {
    read_cell(l, 0, old, &all);
  } else {
    archive_cell(l, &l->all, &all);
  }
  wr_archive_close(&all);
  if (l->config.max_keys == 0) return;
  if (is_reading) {
    read_keys(l, old, a);
  } else {
    write_keys(l, a);
  }
}

void wr_limiter_archive(struct wr_limiter *l, struct wr_archive *a)
{
  struct wr_limiter_counters *c = &l->counters;
  struct wr_limiter old = {.config = l->config};
  wr_archive_u64(a, "admitted", &c->admitted);
  wr_archive_u64(a, "queued", &c->queued);
  wr_archive_u64(a, "refused", &c->refused);
  wr_archive_u64(a, "expired", &c->expired);
  wr_archive_u64(a, "left", &c->left);
  wr_archive_u64(a, "drains", &c->drained);
  wr_archive_u64(a, "shared", &c->shared);
  wr_archive_u64(a, "shadow_refused", &c->shadow_refused);
  wr_archive_u64(a, "shadow_queued", &c->shadow_queued);
  wr_archive_word(a, "algorithm", &old.config.algorithm, algorithms, 2);
  wr_archive_u64(a, "period_ns", &old.config.period_ns);
  wr_archive_u32(a, "limit", &old.config.limit);
  wr_archive_u32(a, "burst", &old.config.burst);
  if (wr_limiter_config_check(&old.config) != NULL) return; // what its debts mean is not known
  old.gcra = wr_gcra_of(old.config.period_ns, old.config.limit, old.config.burst);
  archive_debts(l, &old, a);
}
