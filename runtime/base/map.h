#pragma once
/// String to pointer map: open addressing, keyed SipHash, keys copied. One owner, one thread.

#include "base/hash.h"

struct wr_map_slot;

struct wr_map {
  struct wr_map_slot *slots; ///< private
  size_t cap;
  size_t count; ///< read-only
  struct wr_hash_key key;
};

/// Starts empty; `key` should be random when outsiders choose the keys.
void wr_map_init(struct wr_map *m, struct wr_hash_key key);

/// Frees keys and table; the values are the caller's.
void wr_map_fini(struct wr_map *m);

/// The value under `key`, or NULL.
void *wr_map_get(const struct wr_map *m, struct wr_str key);

/// Stores a non-NULL `value`; returns the value it replaced, or NULL.
void *wr_map_put(struct wr_map *m, struct wr_str key, void *value);

/// Takes the entry out and returns its value, or NULL.
void *wr_map_remove(struct wr_map *m, struct wr_str key);

/// Walks the entries in no order: start with `*at` = 0; NULL at the end. No changes meanwhile.
void *wr_map_next(const struct wr_map *m, size_t *at, struct wr_str *key);
