#include "arena/clients.h"

#include <stdatomic.h>

static struct wr_clients_cell *bucket_of(const struct wr_arena *a, uint32_t slot, uint64_t key)
{
  size_t bucket = key % (WR_CLIENTS_CELLS / WR_CLIENTS_BUCKET);
  return &a->header->clients[slot].cells[bucket * WR_CLIENTS_BUCKET];
}

uint64_t wr_clients_key(const struct wr_arena *a, struct wr_str who)
{
  return wr_hash_sip(&a->header->hash_key, who) | (uint64_t)1 << 63;
}

static uint64_t count_in(const struct wr_arena *a, uint32_t slot, uint64_t key)
{
  struct wr_clients_cell *cell = bucket_of(a, slot, key);
  for (int i = 0; i < WR_CLIENTS_BUCKET; i++) {
    if (atomic_load(&cell[i].key) == key) return atomic_load(&cell[i].count);
  }
  return 0;
}

uint64_t wr_clients_count(const struct wr_arena *a, uint64_t key)
{
  uint64_t sum = 0;
  for (uint32_t i = 0; i < a->header->slot_count; i++) sum += count_in(a, i, key);
  return sum;
}

// The client's cell, or an empty one. NULL: others have them all.
static struct wr_clients_cell *find(const struct wr_arena *a, uint32_t slot, uint64_t key)
{
  struct wr_clients_cell *cell = bucket_of(a, slot, key);
  struct wr_clients_cell *empty = NULL;
  for (int i = 0; i < WR_CLIENTS_BUCKET; i++) {
    uint64_t count = atomic_load(&cell[i].count);
    if (count > 0 && atomic_load(&cell[i].key) == key) return &cell[i];
    if (count == 0 && empty == NULL) empty = &cell[i];
  }
  return empty;
}

// Adding comes before counting: of two workers that let the last one in at once at least one sees
// both, so there are never more than `max`.
int32_t wr_clients_enter(struct wr_arena *a, uint32_t slot, uint64_t key, uint32_t max)
{
  struct wr_clients_cell *cell = find(a, slot, key);
  if (cell == NULL) {
    return wr_clients_count(a, key) >= max ? WR_CLIENTS_REFUSED : WR_CLIENTS_UNCOUNTED;
  }
  if (atomic_load(&cell->count) == 0) atomic_store(&cell->key, key);
  atomic_fetch_add(&cell->count, 1);
  int32_t number = (int32_t)(cell - a->header->clients[slot].cells);
  if (wr_clients_count(a, key) <= max) return number;
  wr_clients_leave(a, slot, number);
  return WR_CLIENTS_REFUSED;
}

void wr_clients_leave(struct wr_arena *a, uint32_t slot, int32_t cell)
{
  if (cell < 0) return;
  struct wr_clients_cell *c = &a->header->clients[slot].cells[cell];
  if (atomic_fetch_sub(&c->count, 1) == 1) atomic_store(&c->key, 0);
}

void wr_clients_wipe(struct wr_arena *a, uint32_t slot)
{
  struct wr_clients_table *table = &a->header->clients[slot];
  for (size_t i = 0; i < WR_CLIENTS_CELLS; i++) {
    if (atomic_load(&table->cells[i].count) == 0) continue;
    atomic_store(&table->cells[i].key, 0);
    atomic_store(&table->cells[i].count, 0);
  }
}

size_t wr_clients_size(uint32_t slot_count)
{
  return slot_count * sizeof(struct wr_clients_table);
}
