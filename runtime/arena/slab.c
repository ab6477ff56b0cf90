#include "arena/slab.h"

#include "arena/lock.h"
#include "base/check.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

// Sizes with their header. Steps of at most one half keep the waste below a third.
static const uint32_t CLASSES[] = {64,   96,   128,  192,  256,  384,  512,   768,   1024,
                                   1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384, 32768};

enum {
  CLASS_COUNT = WR_COUNT(CLASSES),
  PAGE_FREE = 0,       // otherwise: class + 1, or
  PAGE_RUN_HEAD = 254, // first page of a large object
  PAGE_RUN_TAIL = 255, // another page of it
  NO_OBJECT = 0,
  OS_PAGE = 4096,
  HOLE_MIN = 256 * 1024, // smaller objects are cheaper to zero than to unmap
};

// Before each object. `kind` is the commit point: 0 is free, whatever the rest says.
struct object {
  _Atomic uint32_t kind;
  uint32_t number;
  uint64_t next; // in the free list: offset from the slab
};

struct page {
  _Atomic uint32_t use;
  uint32_t run; // of a head: pages
};

struct wr_slab {
  struct wr_lock lock;
  uint64_t first; // offset of page 0
  uint32_t page_count;
  uint32_t touched; // pages ever used
  uint64_t gives;   // since the last rebuild: without any, another one finds nothing
  uint64_t refused;
  uint64_t free[CLASS_COUNT]; // offset of the first free object of a class, or NO_OBJECT
  struct page pages[];
};

static struct object *object_at(struct wr_slab *s, uint64_t offset)
{
  return (struct object *)((char *)s + offset);
}

static uint64_t page_offset(const struct wr_slab *s, uint32_t page)
{
  return s->first + (uint64_t)page * WR_SLAB_PAGE;
}

static int class_for(size_t size)
{
  for (int i = 0; i < (int)CLASS_COUNT; i++) {
    if (size <= CLASSES[i]) return i;
  }
  return -1;
}

// Making

static size_t head_size(size_t pages)
{
  size_t size = sizeof(struct wr_slab) + pages * sizeof(struct page);
  return (size + 63) / 64 * 64;
}

size_t wr_slab_size(size_t object_bytes)
{
  size_t pages = object_bytes / WR_SLAB_PAGE + CLASS_COUNT;
  return head_size(pages) + pages * WR_SLAB_PAGE;
}

void wr_slab_init(struct wr_slab *s, size_t size)
{
  size_t pages = size / WR_SLAB_PAGE;
  while (pages > 0 && head_size(pages) + pages * WR_SLAB_PAGE > size) pages--;
  WR_CHECK(pages > 0 && pages <= UINT32_MAX);
  wr_lock_init(&s->lock);
  s->page_count = (uint32_t)pages;
  s->first = head_size(pages);
}

size_t wr_slab_used(const struct wr_slab *s)
{
  return page_offset(s, s->touched);
}

// Repair: the free lists follow from the commit points.

static void free_run(struct wr_slab *s, uint32_t page)
{
  uint32_t run = s->pages[page].run;
  for (uint32_t i = 0; i < run; i++) atomic_store(&s->pages[page + run - 1 - i].use, PAGE_FREE);
}

static void relink_page(struct wr_slab *s, uint32_t page, uint32_t class)
{
  uint32_t per_page = WR_SLAB_PAGE / CLASSES[class];
  uint32_t in_use = 0;
  for (uint32_t i = 0; i < per_page; i++) {
    in_use += object_at(s, page_offset(s, page) + (uint64_t)i * CLASSES[class])->kind != 0;
  }
  if (in_use == 0) {
    atomic_store(&s->pages[page].use, PAGE_FREE);
    return;
  }
  for (uint32_t i = per_page; i-- > 0;) {
    uint64_t offset = page_offset(s, page) + (uint64_t)i * CLASSES[class];
    struct object *o = object_at(s, offset);
    if (o->kind != 0) continue;
    o->next = s->free[class];
    s->free[class] = offset;
  }
}

static void rebuild(struct wr_slab *s)
{
  memset(s->free, 0, sizeof(s->free));
  s->gives = 0;
  for (uint32_t page = 0; page < s->touched;) {
    uint32_t use = s->pages[page].use;
    uint32_t step = 1;
    if (use == PAGE_RUN_HEAD && object_at(s, page_offset(s, page))->kind != 0) {
      step = s->pages[page].run;
    } else if (use >= PAGE_RUN_HEAD) {
      atomic_store(&s->pages[page].use, PAGE_FREE); // died before it was an object, or after
    } else if (use != PAGE_FREE) {
      relink_page(s, page, use - 1);
    }
    page += step;
  }
}

void wr_slab_lock(struct wr_arena *a)
{
  struct wr_slab *s = a->header->slab;
  if (!wr_lock_take(a, &s->lock)) return;
  rebuild(s);
  wr_lock_mark_repaired(a, &s->lock);
}

void wr_slab_unlock(struct wr_arena *a)
{
  wr_lock_give(a, &a->header->slab->lock);
}

// Taking

// First fit; runs are few and live long.
static int64_t find_pages(struct wr_slab *s, uint32_t count)
{
  uint32_t run = 0;
  for (uint32_t page = 0; page < s->page_count; page++) {
    run = s->pages[page].use == PAGE_FREE ? run + 1 : 0;
    if (run < count) continue;
    if (page + 1 > s->touched) s->touched = page + 1;
    return page + 1 - count;
  }
  return -1;
}

static bool add_page(struct wr_slab *s, int class)
{
  int64_t page = find_pages(s, 1);
  if (page < 0) return false;
  uint32_t size = CLASSES[class];
  for (uint32_t i = WR_SLAB_PAGE / size; i-- > 0;) {
    uint64_t offset = page_offset(s, (uint32_t)page) + (uint64_t)i * size;
    struct object *o = object_at(s, offset);
    *o = (struct object){.next = s->free[class]};
    s->free[class] = offset;
  }
  atomic_store(&s->pages[page].use, (uint32_t) class + 1);
  return true;
}

static struct object *take_small(struct wr_slab *s, int class)
{
  if (s->free[class] == NO_OBJECT && !add_page(s, class)) {
    if (s->gives == 0) return NULL;
    rebuild(s); // pages that have become empty serve any class again
    if (s->free[class] == NO_OBJECT && !add_page(s, class)) return NULL;
  }
  struct object *o = object_at(s, s->free[class]);
  s->free[class] = o->next;
  return o;
}

static struct object *take_run(struct wr_slab *s, size_t bytes)
{
  uint32_t count = (uint32_t)((bytes + WR_SLAB_PAGE - 1) / WR_SLAB_PAGE);
  int64_t found = find_pages(s, count);
  if (found < 0 && s->gives > 0) {
    rebuild(s);
    found = find_pages(s, count);
  }
  if (found < 0) return NULL;
  uint32_t page = (uint32_t)found;
  struct object *o = object_at(s, page_offset(s, page));
  atomic_store(&o->kind, 0);
  s->pages[page].run = count;
  for (uint32_t i = count; i-- > 1;) atomic_store(&s->pages[page + i].use, PAGE_RUN_TAIL);
  atomic_store(&s->pages[page].use, PAGE_RUN_HEAD);
  return o;
}

// Large objects get holes instead of zeros: the kernel gives pages where something is written, so a
// table that is never filled is never paid for. Where it cannot (a private copy) zeros are written.
static void clear(void *object, size_t size)
{
  uintptr_t from = ((uintptr_t)object + OS_PAGE - 1) / OS_PAGE * OS_PAGE;
  uintptr_t to = ((uintptr_t)object + size) / OS_PAGE * OS_PAGE;
  if (size < HOLE_MIN || madvise((void *)from, to - from, MADV_REMOVE) != 0) {
    memset(object, 0, size);
    return;
  }
  memset(object, 0, from - (uintptr_t)object);
  memset((void *)to, 0, (uintptr_t)object + size - to);
}

void *wr_slab_take(struct wr_arena *a, size_t size, enum wr_slab_owner kind, uint32_t number)
{
  struct wr_slab *s = a->header->slab;
  size_t bytes = size + sizeof(struct object);
  wr_slab_lock(a);
  int class = class_for(bytes);
  struct object *o = NULL;
  if (size <= WR_SLAB_OBJECT_MAX) o = class >= 0 ? take_small(s, class) : take_run(s, bytes);
  if (o) {
    clear(o + 1, size);
    o->number = number;
    atomic_store(&o->kind, kind);
  } else {
    s->refused++;
  }
  wr_slab_unlock(a);
  return o ? o + 1 : NULL;
}

static void give(struct wr_slab *s, struct object *o)
{
  uint64_t offset = (uint64_t)((char *)o - (char *)s);
  uint32_t page = (uint32_t)((offset - s->first) / WR_SLAB_PAGE);
  uint32_t use = s->pages[page].use;
  WR_CHECK(offset >= s->first && page < s->touched && o->kind != 0);
  WR_CHECK(use != PAGE_FREE && use != PAGE_RUN_TAIL);
  atomic_store(&o->kind, 0);
  s->gives++;
  if (use == PAGE_RUN_HEAD) {
    free_run(s, page);
    return;
  }
  o->next = s->free[use - 1];
  s->free[use - 1] = offset;
}

void wr_slab_give(struct wr_arena *a, void *object)
{
  if (object == NULL) return;
  wr_slab_lock(a);
  give(a->header->slab, (struct object *)object - 1);
  wr_slab_unlock(a);
}

// Walking

// The next object in use at or after `*at`, an offset that moves on; NULL at the end.
static struct object *next_object(struct wr_slab *s, uint64_t *at)
{
  if (*at < s->first) *at = s->first;
  while (*at < page_offset(s, s->touched)) {
    uint32_t page = (uint32_t)((*at - s->first) / WR_SLAB_PAGE);
    uint64_t page_end = page_offset(s, page + 1);
    uint32_t use = s->pages[page].use;
    uint32_t size = WR_SLAB_PAGE;
    if (use == PAGE_RUN_HEAD) size *= s->pages[page].run;
    if (use > PAGE_FREE && use <= (uint32_t)CLASS_COUNT) size = CLASSES[use - 1];
    struct object *o = object_at(s, *at);
    bool fits = *at + size <= page_end || use == PAGE_RUN_HEAD;
    *at = fits ? *at + size : page_end;
    if (fits && use != PAGE_FREE && use != PAGE_RUN_TAIL && o->kind != 0) return o;
  }
  return NULL;
}

void wr_slab_reclaim(struct wr_arena *a, enum wr_slab_owner kind,
                     bool (*is_owned)(struct wr_arena *a, uint32_t number, const void *object))
{
  struct wr_slab *s = a->header->slab;
  uint64_t at = 0;
  wr_slab_lock(a);
  for (struct object *o = next_object(s, &at); o; o = next_object(s, &at)) {
    if (o->kind == kind && !is_owned(a, o->number, o + 1)) give(s, o);
  }
  wr_slab_unlock(a);
}

void wr_slab_reclaim_of(struct wr_arena *a, enum wr_slab_owner kind, uint32_t number,
                        const void *kept)
{
  struct wr_slab *s = a->header->slab;
  uint64_t at = 0;
  wr_slab_lock(a);
  for (struct object *o = next_object(s, &at); o; o = next_object(s, &at)) {
    if (o->kind == kind && o->number == number && o + 1 != kept) give(s, o);
  }
  wr_slab_unlock(a);
}

void wr_slab_stats(struct wr_arena *a, struct wr_slab_stats *stats)
{
  struct wr_slab *s = a->header->slab;
  uint64_t at = 0;
  wr_slab_lock(a);
  *stats = (struct wr_slab_stats){.bytes_max = (size_t)s->page_count * WR_SLAB_PAGE,
                                  .refused = s->refused};
  while (next_object(s, &at)) stats->objects++;
  for (uint32_t page = 0; page < s->touched; page++) {
    if (s->pages[page].use != PAGE_FREE) stats->bytes_used += WR_SLAB_PAGE;
  }
  wr_slab_unlock(a);
}
