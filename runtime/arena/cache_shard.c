#include "arena/cache_shard.h"

#include "arena/cache.h"
#include "base/check.h"

#include <string.h>

_Static_assert(sizeof(struct wr_cache_table) % 64 == 0, "shards follow");

// A log, from 0 to its size and around:
//
//     ... dead | tail item | ... | newest item | free ... up to tail + size
//
// An item that would wrap leaves a filler behind and begins at 0.

enum {
  WINDOW,
  MAIN,
  ALIGN = 16,
  SHARD_BYTES_MIN = 16 * 1024,
  BYTES_PER_BUCKET = 256,
  COUNTERS_PER_BUCKET = 4,
  WINDOW_SHARE = 16,         // of a shard: one part in so many is window
  CHANCE_BYTES = 256 * 1024, // most that one write moves to the head: bounds its time
  SAMPLE = 10,               // the sketch is aged after so many counts for each item there is
  SAMPLE_MIN = 1024,
};

_Static_assert(sizeof(struct wr_cache_table) % 64 == 0, "shards follow");
_Static_assert(sizeof(struct wr_cache_head) % ALIGN == 0, "keys follow, fillers have room");

// Layout

static uint64_t aligned(uint64_t bytes)
{
  return bytes / ALIGN * ALIGN;
}

void wr_cache_shape(struct wr_cache_table *t, size_t cache_bytes)
{
  uint64_t bytes = aligned(cache_bytes / WR_CACHE_SHARDS);
  if (bytes < SHARD_BYTES_MIN) bytes = SHARD_BYTES_MIN;
  t->log_bytes[WINDOW] = aligned(bytes / WINDOW_SHARE);
  t->log_bytes[MAIN] = bytes - t->log_bytes[WINDOW];
  t->bucket_count = 64;
  while (t->bucket_count < bytes / BYTES_PER_BUCKET) t->bucket_count *= 2;
  uint64_t index = t->bucket_count * (sizeof(uint32_t) + COUNTERS_PER_BUCKET);
  t->shard_bytes = (sizeof(struct wr_cache_shard) + index + bytes + 63) / 64 * 64;
}

struct wr_cache_place wr_cache_place(const struct wr_arena *a, uint32_t number)
{
  struct wr_cache_table *t = a->header->cache;
  struct wr_cache_place p = {.table = t};
  p.shard = (struct wr_cache_shard *)((char *)(t + 1) + number * t->shard_bytes);
  p.buckets = (uint32_t *)(p.shard + 1);
  p.sketch.counters = (uint8_t *)(p.buckets + t->bucket_count);
  p.sketch.count = t->bucket_count * COUNTERS_PER_BUCKET;
  p.memory = (char *)(p.sketch.counters + p.sketch.count);
  return p;
}

uint64_t wr_cache_item_max(const struct wr_cache_table *t)
{
  return aligned(t->log_bytes[MAIN] / 2); // beyond, it might not fit even into an empty log
}

static void clear(struct wr_cache_shard *s)
{
  s->logs[WINDOW] = (struct wr_cache_log){0, 0};
  s->logs[MAIN] = (struct wr_cache_log){0, 0};
  s->items = 0;
  s->counted = 0;
}

void wr_cache_shard_init(const struct wr_cache_place *p)
{
  wr_lock_init(&p->shard->lock);
}

// What a holder left half done is forgotten with the rest: it is a cache.
void wr_cache_shard_take(const struct wr_arena *a, const struct wr_cache_place *p)
{
  if (!wr_lock_take(a, &p->shard->lock)) return;
  memset(p->buckets, 0, p->table->bucket_count * sizeof(*p->buckets));
  wr_sketch_clear(&p->sketch);
  clear(p->shard);
  p->shard->cleared++;
  wr_lock_mark_repaired(a, &p->shard->lock);
}

// Index. A reference is a place in the memory, in units of ALIGN, and 1 more, so that 0 is none.

static struct wr_cache_head *item_of(const struct wr_cache_place *p, uint32_t reference)
{
  return (struct wr_cache_head *)(p->memory + (uint64_t)(reference - 1) * ALIGN);
}

static uint32_t reference_of(const struct wr_cache_place *p, const struct wr_cache_head *item)
{
  return (uint32_t)(((const char *)item - p->memory) / ALIGN) + 1;
}

static uint32_t *bucket_of(const struct wr_cache_place *p, uint64_t hash)
{
  return &p->buckets[hash & (p->table->bucket_count - 1)];
}

static bool is_same(struct wr_cache_head *item, const struct wr_cache_head *like, struct wr_str key)
{
  return item->hash == like->hash && item->space == like->space && item->key_len == key.len &&
         (item->flags & WR_CACHE_FAILURE) == (like->flags & WR_CACHE_FAILURE) &&
         memcmp(wr_cache_key(item), key.ptr, key.len) == 0;
}

struct wr_cache_head *wr_cache_find(const struct wr_cache_place *p,
                                    const struct wr_cache_head *like, struct wr_str key)
{
  for (uint32_t at = *bucket_of(p, like->hash); at; at = item_of(p, at)->next) {
    if (is_same(item_of(p, at), like, key)) return item_of(p, at);
  }
  return NULL;
}

static void link_item(const struct wr_cache_place *p, struct wr_cache_head *item)
{
  uint32_t *bucket = bucket_of(p, item->hash);
  item->next = *bucket;
  *bucket = reference_of(p, item);
  p->shard->items++;
}

static void unlink_item(const struct wr_cache_place *p, struct wr_cache_head *item)
{
  uint32_t reference = reference_of(p, item);
  uint32_t *at = bucket_of(p, item->hash);
  while (*at != reference) at = &item_of(p, *at)->next;
  *at = item->next;
  p->shard->items--;
}

void wr_cache_shard_drop(const struct wr_cache_place *p, struct wr_cache_head *item)
{
  unlink_item(p, item);
  item->flags |= WR_CACHE_DEAD;
}

void wr_cache_shard_count(const struct wr_cache_place *p, uint64_t hash)
{
  struct wr_cache_shard *s = p->shard;
  wr_sketch_add(&p->sketch, hash);
  if (++s->counted < SAMPLE * s->items || s->counted < SAMPLE_MIN) return;
  wr_sketch_age(&p->sketch);
  s->counted = 0;
}

// Logs

static struct wr_cache_head *item_at(const struct wr_cache_place *p, int log, uint64_t position)
{
  uint64_t start = log == MAIN ? p->table->log_bytes[WINDOW] : 0;
  return (struct wr_cache_head *)(p->memory + start + position % p->table->log_bytes[log]);
}

// Bytes from the head to where an item of `size` could start without wrapping.
static uint64_t gap_for(const struct wr_cache_place *p, int log, uint64_t size)
{
  uint64_t bytes = p->table->log_bytes[log];
  uint64_t left = bytes - p->shard->logs[log].head % bytes;
  return size <= left ? 0 : left;
}

static bool has_room(const struct wr_cache_place *p, int log, uint64_t size)
{
  const struct wr_cache_log *l = &p->shard->logs[log];
  return l->head + gap_for(p, log, size) + size - l->tail <= p->table->log_bytes[log];
}

// Makes place at the head for an item; `has_room` is true. Fillers are the only items that may be
// shorter than a head: of them only size and flags are written and read.
static struct wr_cache_head *advance_head(const struct wr_cache_place *p, int log, uint64_t size)
{
  struct wr_cache_log *l = &p->shard->logs[log];
  uint64_t gap = gap_for(p, log, size);
  if (gap) {
    struct wr_cache_head *filler = item_at(p, log, l->head);
    filler->size = (uint32_t)gap;
    filler->flags = WR_CACHE_DEAD;
    l->head += gap;
  }
  struct wr_cache_head *item = item_at(p, log, l->head);
  l->head += size;
  return item;
}

// Moves an item that has just left a tail to the head of the main log, where there is room.
static void move_to_main(const struct wr_cache_place *p, struct wr_cache_head *from)
{
  uint64_t size = from->size;
  unlink_item(p, from);
  from->flags &= (uint8_t)~WR_CACHE_READ;
  struct wr_cache_head *to = advance_head(p, MAIN, size);
  memmove(to, from, size);
  link_item(p, to);
}

// Who stays

static bool is_useless(const struct wr_cache_head *item, uint64_t now_ns)
{
  return now_ns >= item->stale_until_ns;
}

static void evict(const struct wr_cache_place *p, struct wr_cache_head *item)
{
  unlink_item(p, item);
  p->shard->evictions++;
}

// Makes room in the main log for who has this hash and size. False when a more popular item would
// have to go for it.
static bool make_room(const struct wr_cache_place *p, uint64_t hash, uint64_t size, uint64_t now_ns)
{
  struct wr_cache_log *l = &p->shard->logs[MAIN];
  uint64_t chances = CHANCE_BYTES;
  while (!has_room(p, MAIN, size)) {
    struct wr_cache_head *victim = item_at(p, MAIN, l->tail);
    uint64_t victim_size = victim->size;
    if (victim->flags & WR_CACHE_DEAD) {
      l->tail += victim_size;
    } else if (is_useless(victim, now_ns)) {
      unlink_item(p, victim);
      l->tail += victim_size;
    } else if ((victim->flags & WR_CACHE_READ) && victim_size <= chances) {
      chances -= victim_size;
      l->tail += victim_size;
      p->shard->second_chances++;
      if (has_room(p, MAIN, victim_size)) {
        move_to_main(p, victim);
      } else {
        evict(p, victim);
      }
    } else if (wr_sketch_get(&p->sketch, hash) <= wr_sketch_get(&p->sketch, victim->hash)) {
      return false;
    } else {
      evict(p, victim);
      l->tail += victim_size;
    }
  }
  return true;
}

// The window's oldest item goes on to the main log, or goes.
static void leave_window(const struct wr_cache_place *p, uint64_t now_ns)
{
  struct wr_cache_log *l = &p->shard->logs[WINDOW];
  struct wr_cache_head *item = item_at(p, WINDOW, l->tail);
  l->tail += item->size;
  if (item->flags & WR_CACHE_DEAD) return;
  if (is_useless(item, now_ns)) {
    unlink_item(p, item);
  } else if (make_room(p, item->hash, item->size, now_ns)) {
    move_to_main(p, item);
  } else {
    unlink_item(p, item);
    p->shard->rejections++;
  }
}

struct wr_cache_head *wr_cache_shard_add(const struct wr_cache_place *p,
                                         const struct wr_cache_head *head, uint64_t now_ns)
{
  int log = head->size <= p->table->log_bytes[WINDOW] / 2 ? WINDOW : MAIN;
  while (log == WINDOW && !has_room(p, WINDOW, head->size)) leave_window(p, now_ns);
  if (log == MAIN && !make_room(p, head->hash, head->size, now_ns)) {
    p->shard->rejections++;
    return NULL;
  }
  struct wr_cache_head *item = advance_head(p, log, head->size);
  *item = *head;
  link_item(p, item);
  return item;
}
