#pragma once
/// One shard of the cache: a hash index over two circular logs, and who stays when room is short.
/// For cache.c.
///
/// What is written goes to the head of the window, a small log. What the window's tail meets asks
/// for a place in the main log, where the tail's item must make room: an item that was read since
/// it came there moves to the head, any other is compared with the newcomer by how often each was
/// asked for of late, and the rarer one goes (W-TinyLFU, with CLOCK for the main part). An item too
/// large for the window asks at once. All functions but `wr_cache_shard_take` want the shard's lock
/// held.

#include "arena/arena.h"
#include "arena/lock.h"
#include "arena/sketch.h"

enum wr_cache_item_flags {
  WR_CACHE_DEAD = 1,    ///< not in the index: room for others when the tail comes by
  WR_CACHE_READ = 2,    ///< since it was written or moved
  WR_CACHE_FAILURE = 4, ///< of the failures, which have keys of their own
};

enum {
  WR_CACHE_TAGS = 8,
  WR_CACHE_TAG_SLOTS = UINT16_MAX,
  WR_CACHE_NO_TAG = UINT16_MAX, ///< no slot
  WR_CACHE_KEY_SLOTS = 8192,
};

struct wr_cache_head {
  uint32_t size; ///< with head, key, value and padding
  uint8_t flags; ///< enum wr_cache_item_flags
  uint8_t form;
  uint16_t key_len;
  uint32_t value_len;
  uint32_t next; ///< reference of the next item of its bucket
  uint64_t hash;
  uint64_t space; ///< packed reference of its registry entry
  uint64_t stored_ns;
  uint64_t fresh_until_ns;
  uint64_t stale_until_ns;
  uint64_t tag_sum; ///< of its tags' generations when it was made; another sum: it was purged
  uint16_t tags[WR_CACHE_TAGS];
};

/// Positions count bytes and only grow; the place is position mod bytes. Items never wrap.
struct wr_cache_log {
  uint64_t head, tail;
};

struct wr_cache_shard {
  struct wr_lock lock;
  struct wr_cache_log logs[2]; ///< window, main
  uint64_t items;
  uint64_t evictions, rejections, second_chances, cleared;
  uint64_t counted; ///< in the sketch since it was aged
};

/// The section: the shape that all shards have, and the generations of tags and keys.
struct wr_cache_table {
  uint64_t log_bytes[2]; ///< of a shard's window and main log
  uint64_t bucket_count; ///< of a shard, a power of two
  uint64_t shard_bytes;  ///< shard, buckets, sketch, logs
  uint64_t pad[5];
  _Atomic uint64_t tags[WR_CACHE_TAG_SLOTS];
  _Atomic uint64_t keys[WR_CACHE_KEY_SLOTS];
};

/// Where a shard's parts are, in this process.
struct wr_cache_place {
  const struct wr_cache_table *table;
  struct wr_cache_shard *shard;
  uint32_t *buckets; ///< references, 0: none
  struct wr_sketch sketch;
  char *memory; ///< the window, then the main log
};

/// The shape for so many bytes in all.
void wr_cache_shape(struct wr_cache_table *table, size_t cache_bytes);

/// The parts of shard `number`, below WR_CACHE_SHARDS.
struct wr_cache_place wr_cache_place(const struct wr_arena *a, uint32_t number);

/// Makes a shard of zeroed memory.
void wr_cache_shard_init(const struct wr_cache_place *p);

/// Takes the lock; a shard whose holder died is emptied first. Give the lock back by
/// `wr_lock_give`.
void wr_cache_shard_take(const struct wr_arena *a, const struct wr_cache_place *p);

/// The item under the key, or NULL.
struct wr_cache_head *wr_cache_find(const struct wr_cache_place *p,
                                    const struct wr_cache_head *like, struct wr_str key);

/// Counts that a hash was asked for.
void wr_cache_shard_count(const struct wr_cache_place *p, uint64_t hash);

/// Room for an item like `head`, which is copied there and in the index; key and value are the
/// caller's to write. NULL: it was not admitted.
struct wr_cache_head *wr_cache_shard_add(const struct wr_cache_place *p,
                                         const struct wr_cache_head *head, uint64_t now_ns);

/// Forgets an item.
void wr_cache_shard_drop(const struct wr_cache_place *p, struct wr_cache_head *item);

/// Largest item.
uint64_t wr_cache_item_max(const struct wr_cache_table *table);

/// Where an item's key is; its value follows.
static inline char *wr_cache_key(struct wr_cache_head *item)
{
  return (char *)(item + 1);
}

static inline char *wr_cache_value(struct wr_cache_head *item)
{
  return wr_cache_key(item) + item->key_len;
}
