#pragma once
/// Binary min-heap of embedded nodes ordered by a 64-bit key (a time, mostly).
///
/// The heap owns only its index array; nodes belong to the caller and must stay put while inside.
/// One loop's own; not for sharing.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wr_heap_node {
  uint64_t key;
  size_t slot; ///< private: 1-based position, 0 when outside
};

struct wr_heap {
  struct wr_heap_node **slots;
  size_t count; ///< read-only
  size_t cap;
};

/// Frees the index array; the nodes are not touched.
void wr_heap_fini(struct wr_heap *h);

/// Inserts `node` under `key`; it must be outside every heap.
void wr_heap_push(struct wr_heap *h, struct wr_heap_node *node, uint64_t key);

/// Takes `node` out; nothing happens when it is not inside.
void wr_heap_remove(struct wr_heap *h, struct wr_heap_node *node);

/// The node with the smallest key, or NULL.
static inline struct wr_heap_node *wr_heap_first(const struct wr_heap *h)
{
  return h->count ? h->slots[0] : NULL;
}

static inline bool wr_heap_holds(const struct wr_heap_node *node)
{
  return node->slot != 0;
}
