#include "resilience/keyed.h"

#include "base/check.h"

#include <string.h>

// Keys have the highest bit set; the shared cell of set n has key n + 1.

enum { SET_CELLS = WR_KEYED_WAYS + 1 };

#define OWN_KEY (UINT64_C(1) << 63)

uint32_t wr_keyed_sets(uint32_t keys)
{
  return keys / WR_KEYED_WAYS + (keys % WR_KEYED_WAYS != 0);
}

size_t wr_keyed_bytes(uint32_t sets, size_t cell_bytes)
{
  return (size_t)sets * SET_CELLS * cell_bytes;
}

uint64_t wr_keyed_key(uint64_t hash)
{
  return hash | OWN_KEY;
}

static struct wr_keyed_cell *cell_at(const struct wr_keyed *k, uint32_t set, uint32_t way)
{
  return (void *)(k->cells + ((size_t)set * SET_CELLS + way) * k->cell_bytes);
}

static uint32_t set_of(const struct wr_keyed *k, uint64_t key)
{
  if (!(key & OWN_KEY)) return (uint32_t)((key - 1) % k->sets);
  return (uint32_t)((key & UINT32_MAX) * k->sets >> 32);
}

static struct wr_keyed_cell *own_cell(const struct wr_keyed *k, uint32_t set, uint64_t key)
{
  for (uint32_t way = 0; way < WR_KEYED_WAYS; way++) {
    struct wr_keyed_cell *cell = cell_at(k, set, way);
    if (cell->key == key) return cell;
  }
  return NULL;
}

static struct wr_keyed_cell *shared_cell(const struct wr_keyed *k, uint32_t set)
{
  return cell_at(k, set, WR_KEYED_WAYS);
}

static bool is_busy(const struct wr_keyed *k, const struct wr_keyed_cell *cell, uint64_t now_ns)
{
  return cell->key != 0 && k->is_busy(cell, k->ctx, now_ns);
}

void *wr_keyed_find(const struct wr_keyed *k, uint64_t key, uint64_t now_ns)
{
  uint32_t set = set_of(k, key);
  struct wr_keyed_cell *shared = shared_cell(k, set);
  if (!(key & OWN_KEY)) return shared->key ? shared : NULL;
  struct wr_keyed_cell *own = own_cell(k, set, key);
  if (own) return own;
  return is_busy(k, shared, now_ns) ? shared : NULL;
}

static struct wr_keyed_found claim(const struct wr_keyed *k, struct wr_keyed_cell *cell,
                                   uint64_t key)
{
  struct wr_keyed_found found = {.cell = cell, .is_new = true, .is_first = cell->key == 0};
  memset(cell, 0, k->cell_bytes);
  cell->key = key;
  return found;
}

static struct wr_keyed_found take_shared(const struct wr_keyed *k, uint32_t set)
{
  struct wr_keyed_cell *shared = shared_cell(k, set);
  struct wr_keyed_found found = {.cell = shared};
  if (shared->key == 0) found = claim(k, shared, (uint64_t)set + 1);
  found.is_shared = true;
  return found;
}

struct wr_keyed_found wr_keyed_take(const struct wr_keyed *k, uint64_t key, uint64_t now_ns)
{
  uint32_t set = set_of(k, key);
  if (!(key & OWN_KEY)) return take_shared(k, set);
  struct wr_keyed_cell *own = own_cell(k, set, key);
  if (own) return (struct wr_keyed_found){.cell = own};
  if (is_busy(k, shared_cell(k, set), now_ns)) return take_shared(k, set);
  for (uint32_t way = 0; way < WR_KEYED_WAYS; way++) {
    struct wr_keyed_cell *cell = cell_at(k, set, way);
    if (!is_busy(k, cell, now_ns)) return claim(k, cell, key);
  }
  return take_shared(k, set);
}

void *wr_keyed_each(const struct wr_keyed *k, uint32_t *at)
{
  while (*at < k->sets * SET_CELLS) {
    struct wr_keyed_cell *cell = cell_at(k, *at / SET_CELLS, *at % SET_CELLS);
    ++*at;
    if (cell->key != 0) return cell;
  }
  return NULL;
}
