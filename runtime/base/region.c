#include "base/region.h"

#include "base/alloc.h"

enum { BLOCK_BYTES = 4096, ALIGNMENT = 16 };

struct wr_region_block {
  struct wr_region_block *next;
  size_t used;
  size_t cap;
  size_t pad; // keeps data aligned to 16
  char data[];
};

void wr_region_init(struct wr_region *r, size_t max)
{
  *r = (struct wr_region){.max = max};
}

void wr_region_fini(struct wr_region *r)
{
  struct wr_region_block *block = r->first;
  while (block != NULL) {
    struct wr_region_block *next = block->next;
    wr_free(block);
    block = next;
  }
  *r = (struct wr_region){.max = r->max};
}

void wr_region_clear(struct wr_region *r)
{
  r->total = 0;
  if (r->first == NULL) return;
  struct wr_region_block *extra = r->first->next;
  while (extra != NULL) {
    struct wr_region_block *next = extra->next;
    wr_free(extra);
    extra = next;
  }
  r->first->next = NULL;
  r->first->used = 0;
  r->last = r->first;
}

static struct wr_region_block *add_block(struct wr_region *r, size_t size)
{
  size_t cap = size > BLOCK_BYTES ? size : BLOCK_BYTES;
  struct wr_region_block *block = wr_realloc(NULL, sizeof(*block) + cap);
  block->next = NULL;
  block->used = 0;
  block->cap = cap;
  if (r->last) {
    r->last->next = block;
  } else {
    r->first = block;
  }
  r->last = block;
  return block;
}

void *wr_region_take(struct wr_region *r, size_t size)
{
  size_t need = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
  if (need < size || need > r->max - r->total) return NULL;
  struct wr_region_block *block = r->last;
  if (block == NULL || block->cap - block->used < need) block = add_block(r, need);
  void *ptr = block->data + block->used;
  block->used += need;
  r->total += need;
  return ptr;
}

struct wr_str wr_region_copy(struct wr_region *r, struct wr_str s)
{
  char *copy = wr_region_take(r, s.len + 1);
  if (copy == NULL) return (struct wr_str){NULL, 0};
  if (s.len > 0) memcpy(copy, s.ptr, s.len);
  copy[s.len] = '\0';
  return (struct wr_str){copy, s.len};
}
