#pragma once
/// A table of cells by key in memory of a fixed size: sets of 16 cells, and one more for each set
/// that keys share when all cells of their set are busy.
///
/// A busy cell (one whose state matters: a debt, a call inside) is never given to another key; what
/// is not busy is as good as new, so forgetting it loses nothing and there is nothing else to
/// forget by. While a set's shared cell is busy, new keys of that set share it: so a key cannot get
/// rid of what it did there by getting a cell of its own. Memory and time are bounded whatever the
/// keys are. Up to 70 % of busy cells, less than 1 % of the keys share.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WR_KEYED_WAYS = 16 };

/// What begins each cell. Never 0 in a cell that belongs to a key.
struct wr_keyed_cell {
  uint64_t key;
};

/// The shape of a table, kept by its owner; the cells themselves are a zeroed block of memory.
struct wr_keyed {
  uint32_t sets;       ///< 0: there are no cells
  uint32_t cell_bytes; ///< a multiple of 8; the cell begins with struct wr_keyed_cell
  bool (*is_busy)(const void *cell, const void *ctx, uint64_t now_ns);
  const void *ctx; ///< for is_busy
  char *cells;
};

/// What a lookup found out.
struct wr_keyed_found {
  void *cell;
  bool is_new;    ///< it was given to this key now, zeroed: the rest is to be initialised
  bool is_first;  ///< and it bore no key before
  bool is_shared; ///< it is the one that the keys of a set share
};

/// Sets for at least `keys` keys.
uint32_t wr_keyed_sets(uint32_t keys);

/// Bytes of the cells.
size_t wr_keyed_bytes(uint32_t sets, size_t cell_bytes);

/// A key as cells bear it, from any hash. Cells of different keys bear different ones.
uint64_t wr_keyed_key(uint64_t hash);

/// The key's cell, or the one it would share now; NULL when a cell must be claimed first. Changes
/// nothing. Takes the key of a shared cell too.
void *wr_keyed_find(const struct wr_keyed *k, uint64_t key, uint64_t now_ns);

/// The key's cell, claimed if it has none. Never fails.
struct wr_keyed_found wr_keyed_take(const struct wr_keyed *k, uint64_t key, uint64_t now_ns);

/// The next cell that bears a key; start with `*at` = 0; NULL at the end.
void *wr_keyed_each(const struct wr_keyed *k, uint32_t *at);
