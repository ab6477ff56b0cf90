#include "base/heap.h"

#include "base/alloc.h"
#include "base/check.h"

void wr_heap_fini(struct wr_heap *h)
{
  wr_free(h->slots);
  *h = (struct wr_heap){0};
}

static void place(struct wr_heap *h, size_t at, struct wr_heap_node *node)
{
  h->slots[at] = node;
  node->slot = at + 1;
}

static void sift_up(struct wr_heap *h, size_t at, struct wr_heap_node *node)
{
  while (at > 0) {
    size_t parent = (at - 1) / 2;
    if (h->slots[parent]->key <= node->key) break;
    place(h, at, h->slots[parent]);
    at = parent;
  }
  place(h, at, node);
}

static void sift_down(struct wr_heap *h, size_t at, struct wr_heap_node *node)
{
  for (;;) {
    size_t child = at * 2 + 1;
    if (child >= h->count) break;
    if (child + 1 < h->count && h->slots[child + 1]->key < h->slots[child]->key) child++;
    if (node->key <= h->slots[child]->key) break;
    place(h, at, h->slots[child]);
    at = child;
  }
  place(h, at, node);
}

void wr_heap_push(struct wr_heap *h, struct wr_heap_node *node, uint64_t key)
{
  WR_CHECK(node->slot == 0);
  if (h->count == h->cap) {
    h->cap = h->cap ? h->cap * 2 : 64;
    h->slots = wr_realloc(h->slots, h->cap * sizeof(*h->slots));
  }
  node->key = key;
  sift_up(h, h->count++, node);
}

void wr_heap_remove(struct wr_heap *h, struct wr_heap_node *node)
{
  if (node->slot == 0) return;
  size_t at = node->slot - 1;
  WR_CHECK(at < h->count && h->slots[at] == node);
  node->slot = 0;
  struct wr_heap_node *last = h->slots[--h->count];
  if (last == node) return;
  if (at > 0 && last->key < h->slots[(at - 1) / 2]->key) {
    sift_up(h, at, last);
  } else {
    sift_down(h, at, last);
  }
}
