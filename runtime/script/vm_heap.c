#include "script/vm_heap.h"

#include "base/alloc.h"
#include "base/check.h"

#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

enum {
  CARVED = 4096,          // bytes that a size gets at a time
  HUGE = 2 * 1024 * 1024, // bytes of a huge page
  AHEAD = 4,              // objects: how long before its use memory is asked for
};

static size_t bytes_of(size_t number)
{
  return (number + 1) * WR_VM_HEAP_STEP;
}

// A list has room for all objects that the field can hold of its size.
static size_t room_of(size_t number)
{
  return WR_VM_HEAP_FIELD / bytes_of(number);
}

static size_t mapped_size(void)
{
  size_t size = WR_VM_HEAP_FIELD + HUGE;
  for (size_t i = 0; i < WR_VM_HEAP_SIZES; i++) size += room_of(i) * sizeof(void *);
  return size;
}

static void place_lists(struct wr_vm_heap *h)
{
  void **at = (void **)(h->field + WR_VM_HEAP_FIELD);
  for (size_t i = 0; i < WR_VM_HEAP_SIZES; i++) {
    h->sizes[i].free = at;
    at += room_of(i);
  }
}

void wr_vm_heap_init(struct wr_vm_heap *h)
{
  *h = (struct wr_vm_heap){0};
  void *mapped = mmap(NULL, mapped_size(), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return;
  h->mapped = mapped;
  h->field = (char *)(((uintptr_t)mapped + HUGE - 1) & ~(uintptr_t)(HUGE - 1));
  place_lists(h);
  // A collection touches all of it: with small pages that is a page walk an object.
  (void)madvise(h->field, WR_VM_HEAP_FIELD, MADV_HUGEPAGE);
}

void wr_vm_heap_fini(struct wr_vm_heap *h)
{
  if (h->mapped) munmap(h->mapped, mapped_size());
  *h = (struct wr_vm_heap){0};
}

static bool is_small(size_t size)
{
  return size <= WR_VM_HEAP_SMALL;
}

static size_t number_of(size_t size)
{
  return (size - 1) / WR_VM_HEAP_STEP;
}

// Taken from the end: the lowest address comes first.
static void carve(struct wr_vm_heap *h, size_t number)
{
  if (h->field == NULL || h->used == WR_VM_HEAP_FIELD) return;
  struct wr_vm_heap_size *s = &h->sizes[number];
  size_t bytes = bytes_of(number);
  for (size_t i = CARVED / bytes; i > 0; i--) {
    s->free[s->count++] = h->field + h->used + (i - 1) * bytes;
  }
  h->used += CARVED;
}

static void *take_small(struct wr_vm_heap *h, size_t size)
{
  size_t number = number_of(size);
  struct wr_vm_heap_size *s = &h->sizes[number];
  if (s->count == 0) carve(h, number);
  if (s->count == 0) return wr_realloc(NULL, bytes_of(number));
  if (s->count > AHEAD) __builtin_prefetch(s->free[s->count - 1 - AHEAD], 1);
  return s->free[--s->count];
}

static void *take(struct wr_vm_heap *h, size_t size)
{
  return is_small(size) ? take_small(h, size) : wr_realloc(NULL, size);
}

static void give(struct wr_vm_heap *h, void *ptr, size_t size)
{
  uintptr_t at = (uintptr_t)ptr - (uintptr_t)h->field;
  if (!is_small(size) || h->field == NULL || at >= WR_VM_HEAP_FIELD) {
    wr_free(ptr);
    return;
  }
  struct wr_vm_heap_size *s = &h->sizes[number_of(size)];
  s->free[s->count++] = ptr;
}

static void *move(struct wr_vm_heap *h, void *ptr, size_t old_size, size_t new_size)
{
  bool was_small = is_small(old_size);
  if (!was_small && !is_small(new_size)) return wr_realloc(ptr, new_size);
  if (was_small && is_small(new_size) && number_of(old_size) == number_of(new_size)) return ptr;
  void *moved = take(h, new_size);
  memcpy(moved, ptr, old_size < new_size ? old_size : new_size);
  give(h, ptr, old_size);
  return moved;
}

void *wr_vm_heap_resize(struct wr_vm_heap *h, void *ptr, size_t old_size, size_t new_size)
{
  if (new_size == 0) {
    if (ptr) give(h, ptr, old_size);
    return NULL;
  }
  return ptr ? move(h, ptr, old_size, new_size) : take(h, new_size);
}
