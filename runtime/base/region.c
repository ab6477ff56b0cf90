#include "base/region.h"

#include "base/alloc.h"

// What was forgotten and is still used shows in sanitized builds, although the block lives on.
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

enum { BLOCK_BYTES = 4096, ALIGNMENT = 16 };

struct wr_region_block {
  struct wr_region_block *next;
  size_t cap; // two words: data is aligned to 16
  char data[];
};

void wr_region_init(struct wr_region *r, size_t max)
{
  *r = (struct wr_region){.max = max};
}

static void free_blocks(struct wr_region_block *block)
{
  while (block != NULL) {
    struct wr_region_block *next = block->next;
    ASAN_UNPOISON_MEMORY_REGION(block->data, block->cap);
    wr_free(block);
    block = next;
  }
}

void wr_region_fini(struct wr_region *r)
{
  free_blocks(r->first);
  *r = (struct wr_region){.max = r->max};
}

static void forget(struct wr_region_block *block)
{
  ASAN_POISON_MEMORY_REGION(block->data, block->cap);
}

static void give_back(struct wr_region *r)
{
  size_t kept = 0;
  struct wr_region_block **at = &r->first;
  for (; *at != NULL && kept + (*at)->cap <= WR_REGION_KEEP; at = &(*at)->next) {
    kept += (*at)->cap;
    forget(*at);
  }
  free_blocks(*at);
  *at = NULL;
}

// Fills `block` from its beginning, as far as the maximum lets it.
static void begin(struct wr_region *r, struct wr_region_block *block)
{
  size_t left = r->max - r->total;
  r->last = block;
  r->at = block->data;
  r->end = block->data + (block->cap < left ? block->cap : left);
}

void wr_region_clear(struct wr_region *r)
{
  if (r->total == 0) return;
  if (r->last != r->first || r->first->cap > WR_REGION_KEEP) give_back(r);
  r->total = 0;
  r->last = NULL;
  r->at = r->end = NULL;
  if (r->first == NULL) return;
  forget(r->first);
  begin(r, r->first);
}

// Goes on in the next block that was kept, or in a new one before it.
static void next_block(struct wr_region *r, size_t size)
{
  struct wr_region_block **at = r->last ? &r->last->next : &r->first;
  if (*at == NULL || (*at)->cap < size) {
    size_t cap = size > BLOCK_BYTES ? size : BLOCK_BYTES;
    struct wr_region_block *block = wr_realloc(NULL, sizeof(*block) + cap);
    block->next = *at;
    block->cap = cap;
    forget(block);
    *at = block;
  }
  begin(r, *at);
}

// Called some twenty times for each request: the block that is being filled has room, mostly.
void *wr_region_take(struct wr_region *r, size_t size)
{
  size_t need = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
  if (need < size) return NULL;
  if (r->at == NULL || need > (size_t)(r->end - r->at)) {
    if (need > r->max - r->total) return NULL;
    next_block(r, need);
  }
  void *ptr = r->at;
  ASAN_UNPOISON_MEMORY_REGION(ptr, size);
  r->at += need;
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
