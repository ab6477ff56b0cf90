#include "arena/ledger.h"

#include "base/alloc.h"
#include "base/check.h"

#include <stdatomic.h>
#include <string.h>

_Static_assert(sizeof(struct wr_row) == 64, "a row is a cache line");

// A slot's part of the section: this head, two levels of announcement bits, rows.
struct table {
  _Atomic uint32_t touched; // rows ever used since the table was last empty
  uint32_t pad[15];
};

struct wr_ledger_table {
  uint32_t words;         // of announcement bits
  uint32_t summary_words; // each of their bits stands for a word that may have bits set
  uint64_t stride;
  uint64_t rows_at; // from the table's head
  uint64_t pad[5];
};

_Static_assert(sizeof(struct table) == 64, "rows start at a cache line");
_Static_assert(sizeof(struct wr_ledger_table) == 64, "tables start at a cache line");

static uint64_t lines(uint64_t bytes)
{
  return (bytes + 63) / 64 * 64;
}

static struct wr_ledger_table shape(uint32_t rows)
{
  struct wr_ledger_table t = {.words = (rows + 63) / 64};
  t.summary_words = (t.words + 63) / 64;
  t.rows_at = sizeof(struct table) + lines((uint64_t)(t.words + t.summary_words) * 8);
  t.stride = t.rows_at + (uint64_t)rows * sizeof(struct wr_row);
  return t;
}

size_t wr_ledger_size(uint32_t slot_count, uint32_t rows)
{
  return sizeof(struct wr_ledger_table) + slot_count * shape(rows).stride;
}

void wr_ledger_setup(struct wr_arena *a)
{
  *a->header->ledger = shape(a->header->ledger_rows);
}

static struct table *table_of(const struct wr_arena *a, uint32_t slot)
{
  struct wr_ledger_table *t = a->header->ledger;
  WR_CHECK(slot < a->header->slot_count);
  return (struct table *)((char *)(t + 1) + slot * t->stride);
}

static struct wr_row *rows_of(const struct wr_arena *a, uint32_t slot)
{
  return (struct wr_row *)((char *)table_of(a, slot) + a->header->ledger->rows_at);
}

static _Atomic uint64_t *words_of(const struct wr_arena *a, uint32_t slot)
{
  return (_Atomic uint64_t *)(table_of(a, slot) + 1);
}

static uint32_t touched(const struct wr_arena *a, uint32_t slot)
{
  return atomic_load_explicit(&table_of(a, slot)->touched, memory_order_acquire);
}

static uint32_t state_of(const struct wr_row *row)
{
  return atomic_load_explicit(&row->state, memory_order_acquire);
}

// The writer

void wr_ledger_init(struct wr_ledger *l, struct wr_arena *a, uint32_t slot)
{
  uint32_t rows = a->header->ledger_rows;
  *l = (struct wr_ledger){
      .arena = a,
      .slot = slot,
      .rows = rows_of(a, slot),
      .touched = &table_of(a, slot)->touched,
  };
  l->free_rows = wr_alloc(rows * sizeof(*l->free_rows));
  uint32_t end = touched(a, slot);
  // Low numbers end on top: they are used first, so few pages are touched and walks stay short.
  for (uint32_t i = rows; i-- > 0;) {
    if (i >= end || state_of(&l->rows[i]) == WR_ROW_FREE) l->free_rows[l->free_count++] = i;
  }
  if (l->free_count == rows) atomic_store(l->touched, 0);
}

void wr_ledger_fini(struct wr_ledger *l)
{
  wr_free(l->free_rows);
  *l = (struct wr_ledger){0};
}

static uint64_t pack(struct wr_entry_ref ref)
{
  return (uint64_t)ref.generation << 32 | ref.index;
}

struct wr_row *wr_ledger_take(struct wr_ledger *l, struct wr_entry_ref entry)
{
  if (l->free_count == 0) {
    l->full++;
    return NULL;
  }
  uint32_t number = l->free_rows[--l->free_count];
  struct wr_row *row = &l->rows[number];
  if (row->number != number) row->number = number; // granters may be reading it
  if (atomic_load_explicit(&row->generation, memory_order_relaxed) == 0) {
    atomic_store_explicit(&row->generation, 1, memory_order_relaxed);
  }
  atomic_store_explicit(&row->is_pending, 0, memory_order_relaxed);
  atomic_store_explicit(&row->entry, pack(entry), memory_order_relaxed);
  memset(row->payload, 0, sizeof(row->payload));
  if (number >= atomic_load_explicit(l->touched, memory_order_relaxed)) {
    atomic_store_explicit(l->touched, number + 1, memory_order_release);
  }
  return row;
}

void wr_ledger_give(struct wr_ledger *l, struct wr_row *row)
{
  uint32_t generation = atomic_load_explicit(&row->generation, memory_order_relaxed) + 1;
  atomic_store_explicit(&row->state, WR_ROW_FREE, memory_order_release);
  atomic_store_explicit(&row->generation, generation ? generation : 1, memory_order_relaxed);
  WR_CHECK(l->free_count < l->arena->header->ledger_rows);
  l->free_rows[l->free_count++] = row->number;
}

struct wr_row *wr_ledger_find(const struct wr_ledger *l, uint32_t number, uint32_t generation)
{
  if (number >= l->arena->header->ledger_rows) return NULL;
  struct wr_row *row = &l->rows[number];
  if (state_of(row) == WR_ROW_FREE) return NULL;
  return atomic_load_explicit(&row->generation, memory_order_relaxed) == generation ? row : NULL;
}

struct wr_row *wr_ledger_row(const struct wr_ledger *l, uint32_t number)
{
  WR_CHECK(number < l->arena->header->ledger_rows);
  return &l->rows[number];
}

// Anybody

struct wr_entry_ref wr_ledger_entry(const struct wr_row *row)
{
  uint64_t packed = atomic_load_explicit(&row->entry, memory_order_relaxed);
  return (struct wr_entry_ref){(uint32_t)packed, (uint32_t)(packed >> 32)};
}

struct wr_row *wr_ledger_next(const struct wr_arena *a, uint32_t slot, uint32_t *at)
{
  struct wr_row *row = rows_of(a, slot);
  uint32_t end = touched(a, slot);
  while (*at < end) {
    struct wr_row *this = &row[(*at)++];
    if (state_of(this) != WR_ROW_FREE) return this;
  }
  return NULL;
}

struct wr_row *wr_ledger_each(const struct wr_arena *a, struct wr_entry_ref entry, uint64_t *at,
                              uint32_t *slot)
{
  uint32_t s = (uint32_t)(*at >> 32);
  uint32_t number = (uint32_t)*at;
  for (; s < a->header->slot_count; s++, number = 0) {
    struct wr_row *row;
    while ((row = wr_ledger_next(a, s, &number))) {
      if (atomic_load_explicit(&row->entry, memory_order_relaxed) != pack(entry)) continue;
      *at = (uint64_t)s << 32 | number;
      if (slot) *slot = s;
      return row;
    }
  }
  *at = (uint64_t)s << 32;
  return NULL;
}

uint32_t wr_ledger_slot(const struct wr_arena *a, const struct wr_row *row)
{
  const struct wr_ledger_table *t = a->header->ledger;
  return (uint32_t)((uint64_t)((const char *)row - (const char *)(t + 1)) / t->stride);
}

uint32_t wr_ledger_count(const struct wr_arena *a, uint32_t slot)
{
  uint32_t count = 0;
  uint32_t at = 0;
  while (wr_ledger_next(a, slot, &at)) count++;
  return count;
}

// Announcements: the bit first, then its word's summary. A reader clears the summary first and
// looks again, so a bit set in between is never left behind without one.

void wr_ledger_announce(const struct wr_arena *a, const struct wr_row *row)
{
  _Atomic uint64_t *words = words_of(a, wr_ledger_slot(a, row));
  uint32_t word = row->number / 64;
  atomic_fetch_or(&words[word], UINT64_C(1) << (row->number % 64));
  atomic_fetch_or(&words[a->header->ledger->words + word / 64], UINT64_C(1) << (word % 64));
}

static bool take_bit(_Atomic uint64_t *word, uint32_t *bit)
{
  uint64_t bits = atomic_load(word);
  if (bits == 0) return false;
  *bit = (uint32_t)__builtin_ctzll(bits);
  atomic_fetch_and(word, ~(UINT64_C(1) << *bit));
  return true;
}

bool wr_ledger_announced(struct wr_ledger *l, uint32_t *number)
{
  const struct wr_ledger_table *t = l->arena->header->ledger;
  _Atomic uint64_t *words = words_of(l->arena, l->slot);
  for (uint32_t i = 0; i < t->summary_words; i++) {
    _Atomic uint64_t *summary = &words[t->words + i];
    uint32_t at;
    while (take_bit(summary, &at)) {
      uint32_t word = i * 64 + at;
      uint32_t bit;
      if (!take_bit(&words[word], &bit)) continue;
      if (atomic_load(&words[word])) atomic_fetch_or(summary, UINT64_C(1) << at);
      *number = word * 64 + bit;
      return true;
    }
  }
  return false;
}
