#include "arena/cache.h"

#include "base/check.h"

#include <stdatomic.h>
#include <string.h>

// Positions count bytes since the shard was made and only grow; the place is position mod log size.
// Items never wrap: a filler closes the log's end. 0 is no position: a log starts at START.
//
//     ... dead | tail item | ... | newest item | free ... up to tail + log size

enum {
  ALIGN = 16,
  START = ALIGN,
  SHARD_BYTES_MIN = 16 * 1024,
  BYTES_PER_BUCKET = 256,
  CHANCES = 16, // most items that one write moves to the head: bounds its time
};

enum item_flags { ITEM_DEAD = 1, ITEM_READ = 2 };

struct item {
  uint32_t size; // with header, key, value and padding
  uint8_t flags;
  uint8_t tag;
  uint16_t key_len;
  uint32_t value_len;
  uint32_t pad;
  uint64_t next; // position of the next item of its bucket
  uint64_t hash;
  uint64_t space; // packed reference of its registry entry
  uint64_t stored_ns;
  uint64_t fresh_until_ns;
  uint64_t stale_until_ns;
};

struct shard {
  struct wr_lock lock;
  uint64_t head, tail; // positions
  uint64_t items;
  uint64_t evictions, second_chances, cleared;
  uint64_t pad[2];
};

struct wr_cache_table {
  uint64_t log_bytes;    // of a shard
  uint64_t bucket_count; // of a shard, a power of two
  uint64_t shard_bytes;  // shard, buckets and log
  uint64_t pad[5];
};

struct place {
  const struct wr_cache_table *table;
  struct shard *shard;
  uint64_t *buckets; // positions
  char *log;
};

// Layout

static struct wr_cache_table shape(size_t cache_bytes)
{
  struct wr_cache_table t = {.log_bytes = cache_bytes / WR_CACHE_SHARDS / ALIGN * ALIGN};
  if (t.log_bytes < SHARD_BYTES_MIN) t.log_bytes = SHARD_BYTES_MIN;
  t.bucket_count = 64;
  while (t.bucket_count < t.log_bytes / BYTES_PER_BUCKET) t.bucket_count *= 2;
  t.shard_bytes = sizeof(struct shard) + t.bucket_count * sizeof(uint64_t) + t.log_bytes;
  t.shard_bytes = (t.shard_bytes + 63) / 64 * 64;
  return t;
}

size_t wr_cache_size(size_t cache_bytes)
{
  return sizeof(struct wr_cache_table) + WR_CACHE_SHARDS * shape(cache_bytes).shard_bytes;
}

static struct place place_of(const struct wr_arena *a, uint32_t shard)
{
  struct wr_cache_table *t = a->header->cache;
  struct place p = {.table = t};
  p.shard = (struct shard *)((char *)(t + 1) + shard * t->shard_bytes);
  p.buckets = (uint64_t *)(p.shard + 1);
  p.log = (char *)(p.buckets + t->bucket_count);
  return p;
}

void wr_cache_init(struct wr_arena *a, size_t cache_bytes)
{
  *a->header->cache = shape(cache_bytes);
  for (uint32_t i = 0; i < WR_CACHE_SHARDS; i++) {
    struct shard *s = place_of(a, i).shard;
    wr_lock_init(&s->lock);
    s->head = START;
    s->tail = START;
  }
}

// Lock

// What a holder left half done is forgotten with the rest: it is a cache.
static void take(const struct wr_arena *a, const struct place *p)
{
  struct shard *s = p->shard;
  if (!wr_lock_take(a, &s->lock)) return;
  memset(p->buckets, 0, p->table->bucket_count * sizeof(*p->buckets));
  s->head = START;
  s->tail = START;
  s->items = 0;
  s->cleared++;
  wr_lock_mark_repaired(a, &s->lock);
}

// Items

static struct item *item_at(const struct place *p, uint64_t position)
{
  return (struct item *)(p->log + position % p->table->log_bytes);
}

static char *key_of(struct item *i)
{
  return (char *)(i + 1);
}

static char *value_of(struct item *i)
{
  return key_of(i) + i->key_len;
}

static uint64_t *bucket_of(const struct place *p, uint64_t hash)
{
  return &p->buckets[hash & (p->table->bucket_count - 1)];
}

static uint64_t find(const struct place *p, uint64_t hash, uint64_t space, struct wr_str key)
{
  for (uint64_t at = *bucket_of(p, hash); at; at = item_at(p, at)->next) {
    struct item *i = item_at(p, at);
    if (i->hash == hash && i->space == space && i->key_len == key.len &&
        memcmp(key_of(i), key.ptr, key.len) == 0) {
      return at;
    }
  }
  return 0;
}

static void link_item(const struct place *p, uint64_t position)
{
  struct item *i = item_at(p, position);
  uint64_t *bucket = bucket_of(p, i->hash);
  i->next = *bucket;
  *bucket = position;
  p->shard->items++;
}

static void unlink_item(const struct place *p, uint64_t position)
{
  struct item *i = item_at(p, position);
  uint64_t *at = bucket_of(p, i->hash);
  while (*at != position) at = &item_at(p, *at)->next;
  *at = i->next;
  p->shard->items--;
}

static void drop(const struct place *p, uint64_t position)
{
  unlink_item(p, position);
  item_at(p, position)->flags |= ITEM_DEAD;
}

// Room

// Bytes from the head to where an item of `size` could start without wrapping.
static uint64_t gap_for(const struct place *p, uint64_t size)
{
  uint64_t left = p->table->log_bytes - p->shard->head % p->table->log_bytes;
  return size <= left ? 0 : left;
}

static bool has_room(const struct place *p, uint64_t size)
{
  const struct shard *s = p->shard;
  return s->head + gap_for(p, size) + size - s->tail <= p->table->log_bytes;
}

// The place of a new item at the head; `has_room` is true.
static uint64_t advance_head(const struct place *p, uint64_t size)
{
  struct shard *s = p->shard;
  uint64_t gap = gap_for(p, size);
  if (gap) {
    struct item *filler = item_at(p, s->head);
    filler->size = (uint32_t)gap;
    filler->flags = ITEM_DEAD;
    s->head += gap;
  }
  uint64_t position = s->head;
  s->head += size;
  return position;
}

// Moves the item that has just left the tail to the head, if it fits there.
static bool give_second_chance(const struct place *p, uint64_t position)
{
  struct item *from = item_at(p, position);
  uint64_t size = from->size;
  if (!has_room(p, size)) return false;
  unlink_item(p, position);
  from->flags = 0;
  uint64_t to = advance_head(p, size);
  memmove(item_at(p, to), from, size);
  link_item(p, to);
  p->shard->second_chances++;
  return true;
}

static void make_room(const struct place *p, uint64_t size, uint64_t now_ns)
{
  struct shard *s = p->shard;
  int chances = CHANCES;
  while (!has_room(p, size)) {
    uint64_t position = s->tail;
    struct item *i = item_at(p, position);
    s->tail += i->size;
    if (i->flags & ITEM_DEAD) continue;
    bool is_useful = now_ns < i->stale_until_ns;
    if (is_useful && (i->flags & ITEM_READ) && chances-- > 0 && give_second_chance(p, position)) {
      continue;
    }
    unlink_item(p, position);
    s->evictions += is_useful;
  }
}

// Spaces

void wr_cache_space_apply(struct wr_cache_space *s, const struct wr_cache_config *c)
{
  atomic_store_explicit(&s->ttl_ns, c->ttl_ns, memory_order_relaxed);
  atomic_store_explicit(&s->stale_ns, c->stale_ns, memory_order_relaxed);
  atomic_store_explicit(&s->entry_bytes, c->entry_bytes, memory_order_relaxed);
}

static void tick(_Atomic uint64_t *counter)
{
  atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static uint64_t packed(const struct wr_entry *space)
{
  struct wr_entry_ref ref = wr_registry_ref(space);
  return (uint64_t)ref.generation << 32 | ref.index;
}

static uint64_t hash_of(const struct wr_arena *a, uint64_t space, struct wr_str key)
{
  uint64_t hash = wr_hash_sip(&a->header->hash_key, key) + space * 0x9e3779b97f4a7c15u;
  return hash ^ hash >> 29;
}

static struct place shard_for(const struct wr_arena *a, uint64_t hash)
{
  return place_of(a, (uint32_t)(hash >> 60) % WR_CACHE_SHARDS);
}

// Items by key

static uint64_t later(uint64_t at_ns, uint64_t after_ns)
{
  return at_ns > UINT64_MAX - after_ns ? UINT64_MAX : at_ns + after_ns;
}

// What the item's times are, by itself or by its space.
static void set_times(struct item *i, struct wr_cache_space *space,
                      const struct wr_cache_item *item, uint64_t now_ns)
{
  uint64_t ttl_ns = item->ttl_ns ? item->ttl_ns : atomic_load(&space->ttl_ns);
  uint64_t stale_ns = item->stale_ns != UINT64_MAX ? item->stale_ns : atomic_load(&space->stale_ns);
  i->stored_ns = now_ns;
  i->fresh_until_ns = later(now_ns, ttl_ns);
  i->stale_until_ns = later(i->fresh_until_ns, stale_ns);
}

static void put(const struct place *p, struct item *head, const struct wr_cache_item *item,
                uint64_t now_ns)
{
  make_room(p, head->size, now_ns);
  uint64_t position = advance_head(p, head->size);
  struct item *i = item_at(p, position);
  *i = *head;
  memcpy(key_of(i), item->key.ptr, item->key.len);
  if (item->value.len) memcpy(value_of(i), item->value.ptr, item->value.len);
  link_item(p, position);
}

static bool is_too_large(const struct place *p, struct wr_cache_space *space,
                         const struct wr_cache_item *item, uint64_t size)
{
  uint64_t limit = atomic_load_explicit(&space->entry_bytes, memory_order_relaxed);
  return item->key.len > WR_CACHE_KEY_MAX || size > p->table->log_bytes / 4 ||
         (limit && item->value.len > limit);
}

bool wr_cache_set(struct wr_arena *a, struct wr_entry *space, const struct wr_cache_item *item,
                  uint64_t now_ns)
{
  if (a->is_private) return true;
  struct wr_cache_space *state = space->state;
  uint64_t id = packed(space);
  uint64_t hash = hash_of(a, id, item->key);
  struct place p = shard_for(a, hash);
  uint64_t size =
      (sizeof(struct item) + item->key.len + item->value.len + ALIGN - 1) & ~(uint64_t)(ALIGN - 1);
  bool fits = !is_too_large(&p, state, item, size);
  take(a, &p);
  uint64_t old = item->key.len <= WR_CACHE_KEY_MAX ? find(&p, hash, id, item->key) : 0;
  if (old) drop(&p, old);
  if (fits) {
    struct item head = {.size = (uint32_t)size, .tag = item->tag, .hash = hash, .space = id};
    head.key_len = (uint16_t)item->key.len;
    head.value_len = (uint32_t)item->value.len;
    set_times(&head, state, item, now_ns);
    put(&p, &head, item, now_ns);
  }
  wr_lock_give(a, &p.shard->lock);
  tick(fits ? &state->stored : &state->refused);
  return fits;
}

// Under the shard's lock.
static enum wr_cache_result read_item(struct item *i, uint64_t now_ns, struct wr_cache_found *found)
{
  bool is_fresh = now_ns < i->fresh_until_ns;
  bool is_stale = !is_fresh && now_ns < i->stale_until_ns;
  if (!is_fresh && !(is_stale && found->allow_stale)) return WR_CACHE_MISS;
  if (found->value && !wr_buf_append(found->value, value_of(i), i->value_len)) return WR_CACHE_MISS;
  i->flags |= ITEM_READ;
  found->tag = i->tag;
  found->age_ns = now_ns > i->stored_ns ? now_ns - i->stored_ns : 0;
  found->ttl_left_ns = is_fresh ? i->fresh_until_ns - now_ns : 0;
  found->stale_left_ns = i->stale_until_ns - now_ns;
  return is_fresh ? WR_CACHE_FRESH : WR_CACHE_STALE;
}

enum wr_cache_result wr_cache_get(struct wr_arena *a, struct wr_entry *space, struct wr_str key,
                                  uint64_t now_ns, struct wr_cache_found *found)
{
  if (a->is_private) return WR_CACHE_MISS;
  struct wr_cache_space *state = space->state;
  enum wr_cache_result result = WR_CACHE_MISS;
  if (key.len <= WR_CACHE_KEY_MAX) {
    uint64_t id = packed(space);
    uint64_t hash = hash_of(a, id, key);
    struct place p = shard_for(a, hash);
    take(a, &p);
    uint64_t at = find(&p, hash, id, key);
    if (at) result = read_item(item_at(&p, at), now_ns, found);
    if (at && now_ns >= item_at(&p, at)->stale_until_ns) drop(&p, at);
    wr_lock_give(a, &p.shard->lock);
  }
  _Atomic uint64_t *counters[] = {&state->misses, &state->stale, &state->hits};
  tick(counters[result]);
  return result;
}

bool wr_cache_delete(struct wr_arena *a, struct wr_entry *space, struct wr_str key)
{
  if (a->is_private || key.len > WR_CACHE_KEY_MAX) return false;
  uint64_t id = packed(space);
  uint64_t hash = hash_of(a, id, key);
  struct place p = shard_for(a, hash);
  take(a, &p);
  uint64_t at = find(&p, hash, id, key);
  if (at) drop(&p, at);
  wr_lock_give(a, &p.shard->lock);
  return at != 0;
}

void wr_cache_stats(struct wr_arena *a, struct wr_cache_stats *stats)
{
  *stats = (struct wr_cache_stats){.bytes_max = a->header->cache->log_bytes * WR_CACHE_SHARDS};
  for (uint32_t i = 0; i < WR_CACHE_SHARDS; i++) {
    struct place p = place_of(a, i);
    take(a, &p);
    stats->bytes_used += p.shard->head - p.shard->tail;
    stats->items += p.shard->items;
    stats->evictions += p.shard->evictions;
    stats->second_chances += p.shard->second_chances;
    stats->cleared += p.shard->cleared;
    wr_lock_give(a, &p.shard->lock);
  }
}
