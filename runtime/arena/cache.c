#include "arena/cache.h"

#include "arena/cache_shard.h"
#include "base/check.h"

#include <stdatomic.h>
#include <string.h>

enum { ALIGN = 16 };

_Static_assert(WR_CACHE_TAGS_MAX == (int)WR_CACHE_TAGS, "an item has room for its tags");

size_t wr_cache_size(size_t cache_bytes)
{
  struct wr_cache_table t;
  wr_cache_shape(&t, cache_bytes);
  return sizeof(t) + WR_CACHE_SHARDS * t.shard_bytes;
}

void wr_cache_init(struct wr_arena *a, size_t cache_bytes)
{
  wr_cache_shape(a->header->cache, cache_bytes);
  for (uint32_t i = 0; i < WR_CACHE_SHARDS; i++) {
    struct wr_cache_place p = wr_cache_place(a, i);
    wr_cache_shard_init(&p);
  }
}

// Spaces

void wr_cache_space_apply(struct wr_cache_space *s, const struct wr_cache_config *c)
{
  atomic_store_explicit(&s->ttl_ns, c->ttl_ns, memory_order_relaxed);
  atomic_store_explicit(&s->stale_ns, c->stale_ns, memory_order_relaxed);
  atomic_store_explicit(&s->entry_bytes, c->entry_bytes, memory_order_relaxed);
}

void wr_cache_count(struct wr_entry *space, enum wr_cache_event event)
{
  struct wr_cache_space *s = space->state;
  atomic_fetch_add_explicit(&s->events[event], 1, memory_order_relaxed);
}

static uint64_t packed(const struct wr_entry *space)
{
  struct wr_entry_ref ref = wr_registry_ref(space);
  return (uint64_t)ref.generation << 32 | ref.index;
}

static uint64_t mixed(uint64_t hash)
{
  hash *= UINT64_C(0x9e3779b97f4a7c15);
  return hash ^ hash >> 29;
}

static uint64_t hash_of(const struct wr_arena *a, uint64_t space, struct wr_str key)
{
  return mixed(wr_hash_sip(&a->header->hash_key, key) + mixed(space));
}

// Tags and keys: generations in slots by hash. A slot that two share purges both.

static uint16_t slot_of(uint64_t hash)
{
  return (uint16_t)((hash >> 40) % WR_CACHE_TAG_SLOTS);
}

static uint16_t key_slot_of(uint64_t hash)
{
  return (uint16_t)((hash >> 40) % WR_CACHE_KEY_SLOTS);
}

static uint64_t generation(const _Atomic uint64_t *slots, uint16_t slot)
{
  return atomic_load_explicit(&slots[slot], memory_order_acquire);
}

static uint64_t tag_sum(const struct wr_cache_table *t, const struct wr_cache_head *head)
{
  uint64_t sum = generation(t->tags, slot_of(mixed(head->space)));
  for (int i = 0; i < WR_CACHE_TAGS && head->tags[i] != WR_CACHE_NO_TAG; i++) {
    sum += generation(t->tags, head->tags[i]);
  }
  return sum;
}

static void set_tags(const struct wr_arena *a, struct wr_cache_head *head,
                     const struct wr_cache_item *item)
{
  for (uint32_t i = 0; i < WR_CACHE_TAGS; i++) {
    bool is_given = i < item->tag_count;
    head->tags[i] =
        is_given ? slot_of(hash_of(a, head->space, item->tags[i])) : (uint16_t)WR_CACHE_NO_TAG;
  }
}

uint64_t wr_cache_stamp(struct wr_arena *a, const struct wr_cache_item *item)
{
  const struct wr_cache_table *t = a->header->cache;
  struct wr_cache_head head = {.space = packed(item->at.space)};
  set_tags(a, &head, item);
  uint64_t key = generation(t->keys, key_slot_of(hash_of(a, head.space, item->at.key)));
  return 1 + key + tag_sum(t, &head);
}

void wr_cache_purge_tag(struct wr_arena *a, struct wr_entry *space, struct wr_str tag)
{
  if (a->is_private) return;
  uint64_t id = packed(space);
  uint16_t slot = slot_of(tag.len ? hash_of(a, id, tag) : mixed(id));
  atomic_fetch_add_explicit(&a->header->cache->tags[slot], 1, memory_order_acq_rel);
}

// Items

static uint64_t later(uint64_t at_ns, uint64_t after_ns)
{
  return at_ns > UINT64_MAX - after_ns ? UINT64_MAX : at_ns + after_ns;
}

// What tells an item from others.
static struct wr_cache_head identity(const struct wr_arena *a, const struct wr_cache_key *at)
{
  struct wr_cache_head head = {.space = packed(at->space)};
  head.hash = hash_of(a, head.space, at->key);
  head.key_len = (uint16_t)at->key.len;
  if (at->is_failure) head.flags = WR_CACHE_FAILURE;
  return head;
}

static struct wr_cache_place place_for(const struct wr_arena *a, uint64_t hash)
{
  return wr_cache_place(a, (uint32_t)(hash >> 56) % WR_CACHE_SHARDS);
}

static struct wr_cache_head made_from(struct wr_arena *a, const struct wr_cache_item *item,
                                      uint64_t now_ns)
{
  struct wr_cache_space *space = item->at.space->state;
  uint64_t ttl_ns = item->ttl_ns ? item->ttl_ns : atomic_load(&space->ttl_ns);
  uint64_t stale_ns = item->stale_ns != UINT64_MAX ? item->stale_ns : atomic_load(&space->stale_ns);
  struct wr_cache_head head = identity(a, &item->at);
  head.form = item->form;
  head.value_len = (uint32_t)item->value.len;
  head.stored_ns = now_ns;
  head.fresh_until_ns = later(now_ns, ttl_ns);
  head.stale_until_ns = later(head.fresh_until_ns, stale_ns);
  set_tags(a, &head, item);
  head.tag_sum = tag_sum(a->header->cache, &head);
  return head;
}

static uint64_t size_of(const struct wr_cache_item *item)
{
  uint64_t bytes = sizeof(struct wr_cache_head) + item->at.key.len + item->value.len;
  return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

static bool is_too_large(const struct wr_arena *a, const struct wr_cache_item *item)
{
  struct wr_cache_space *space = item->at.space->state;
  uint64_t limit = atomic_load_explicit(&space->entry_bytes, memory_order_relaxed);
  return item->value.len > UINT32_MAX || size_of(item) > wr_cache_item_max(a->header->cache) ||
         (limit && item->value.len > limit);
}

static void write_item(struct wr_cache_head *to, const struct wr_cache_item *item)
{
  memcpy(wr_cache_key(to), item->at.key.ptr, item->at.key.len);
  if (item->value.len) memcpy(wr_cache_value(to), item->value.ptr, item->value.len);
}

// A value as long as the old one takes its place, without pushing anything out.
static struct wr_cache_head *replace(const struct wr_cache_place *p, struct wr_cache_head *old,
                                     const struct wr_cache_head *head, uint64_t now_ns)
{
  if (old && old->size == head->size) {
    uint32_t next = old->next;
    uint8_t flags = old->flags;
    *old = *head;
    old->next = next;
    old->flags = flags;
    return old;
  }
  if (old) wr_cache_shard_drop(p, old);
  return wr_cache_shard_add(p, head, now_ns);
}

static enum wr_cache_event put(struct wr_arena *a, const struct wr_cache_item *item,
                               uint64_t now_ns)
{
  struct wr_cache_head head = made_from(a, item, now_ns);
  bool fits = !is_too_large(a, item);
  struct wr_cache_place p = place_for(a, head.hash);
  wr_cache_shard_take(a, &p);
  struct wr_cache_head *old = wr_cache_find(&p, &head, item->at.key);
  enum wr_cache_event event = WR_CACHE_TOO_LARGE;
  if (item->stamp && item->stamp != wr_cache_stamp(a, item)) {
    event = WR_CACHE_PURGED;
  } else if (fits) {
    head.size = (uint32_t)size_of(item);
    wr_cache_shard_count(&p, head.hash);
    struct wr_cache_head *to = replace(&p, old, &head, now_ns);
    if (to) write_item(to, item);
    event = to ? WR_CACHE_STORED : WR_CACHE_REJECTED;
  } else if (old) {
    wr_cache_shard_drop(&p, old);
  }
  wr_lock_give(a, &p.shard->lock);
  return event;
}

enum wr_cache_event wr_cache_set(struct wr_arena *a, const struct wr_cache_item *item,
                                 uint64_t now_ns)
{
  if (a->is_private) return WR_CACHE_STORED;
  enum wr_cache_event event = WR_CACHE_TOO_LARGE;
  if (item->at.key.len <= WR_CACHE_KEY_MAX) event = put(a, item, now_ns);
  if (!item->at.is_failure) wr_cache_count(item->at.space, event);
  return event;
}

// Under the shard's lock.
static enum wr_cache_result read_item(struct wr_cache_head *i, uint64_t now_ns,
                                      struct wr_cache_found *found)
{
  bool is_fresh = now_ns < i->fresh_until_ns;
  if (!is_fresh && !found->allow_stale) return WR_CACHE_NONE;
  if (found->value && !wr_buf_append(found->value, wr_cache_value(i), i->value_len)) {
    return WR_CACHE_NONE;
  }
  i->flags |= WR_CACHE_READ;
  found->form = i->form;
  found->age_ns = now_ns > i->stored_ns ? now_ns - i->stored_ns : 0;
  found->ttl_left_ns = is_fresh ? i->fresh_until_ns - now_ns : 0;
  found->stale_for_ns = is_fresh ? 0 : now_ns - i->fresh_until_ns;
  found->stale_left_ns = i->stale_until_ns - now_ns;
  return is_fresh ? WR_CACHE_IS_FRESH : WR_CACHE_IS_STALE;
}

enum wr_cache_result wr_cache_get(struct wr_arena *a, const struct wr_cache_key *at,
                                  uint64_t now_ns, struct wr_cache_found *found)
{
  if (a->is_private || at->key.len > WR_CACHE_KEY_MAX) return WR_CACHE_NONE;
  struct wr_cache_head like = identity(a, at);
  struct wr_cache_place p = place_for(a, like.hash);
  enum wr_cache_result result = WR_CACHE_NONE;
  wr_cache_shard_take(a, &p);
  struct wr_cache_head *i = wr_cache_find(&p, &like, at->key);
  if (i && (now_ns >= i->stale_until_ns || i->tag_sum != tag_sum(p.table, i))) {
    wr_cache_shard_drop(&p, i);
  } else if (i) {
    wr_cache_shard_count(&p, like.hash);
    result = read_item(i, now_ns, found);
  }
  wr_lock_give(a, &p.shard->lock);
  return result;
}

bool wr_cache_purge(struct wr_arena *a, struct wr_entry *space, struct wr_str key)
{
  if (a->is_private || key.len > WR_CACHE_KEY_MAX) return false;
  struct wr_cache_key at = {space, key, false};
  struct wr_cache_head like = identity(a, &at);
  struct wr_cache_place p = place_for(a, like.hash);
  wr_cache_shard_take(a, &p);
  atomic_fetch_add_explicit(&a->header->cache->keys[key_slot_of(like.hash)], 1,
                            memory_order_acq_rel);
  struct wr_cache_head *value = wr_cache_find(&p, &like, key);
  if (value) wr_cache_shard_drop(&p, value);
  like.flags = WR_CACHE_FAILURE;
  struct wr_cache_head *failure = wr_cache_find(&p, &like, key);
  if (failure) wr_cache_shard_drop(&p, failure);
  wr_lock_give(a, &p.shard->lock);
  return value != NULL;
}

void wr_cache_stats(struct wr_arena *a, struct wr_cache_stats *stats)
{
  const struct wr_cache_table *t = a->header->cache;
  *stats = (struct wr_cache_stats){
      .bytes_max = (t->log_bytes[0] + t->log_bytes[1]) * WR_CACHE_SHARDS,
      .item_bytes_max = wr_cache_item_max(t),
  };
  for (uint32_t i = 0; i < WR_CACHE_SHARDS; i++) {
    struct wr_cache_place p = wr_cache_place(a, i);
    wr_cache_shard_take(a, &p);
    for (int l = 0; l < 2; l++) stats->bytes_used += p.shard->logs[l].head - p.shard->logs[l].tail;
    stats->items += p.shard->items;
    stats->evictions += p.shard->evictions;
    stats->rejections += p.shard->rejections;
    stats->second_chances += p.shard->second_chances;
    stats->cleared += p.shard->cleared;
    wr_lock_give(a, &p.shard->lock);
  }
}

static const char *const events[WR_CACHE_EVENTS] = {
#define WR_CACHE_EVENT(ENUM, name, meaning) [WR_CACHE_##ENUM] = name,
#include "tables/states.def"
};

const char *wr_cache_event_name(enum wr_cache_event event)
{
  WR_CHECK(event < WR_CACHE_EVENTS);
  return events[event];
}
