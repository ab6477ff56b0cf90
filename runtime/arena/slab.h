#pragma once
/// Memory for objects in the arena: size classes on 64 KiB pages, larger objects on runs of pages.
///
/// Bounded by its section; full is NULL, never an abort. Each object remembers its owner, so that
/// after a death between taking an object and linking it `wr_slab_reclaim` finds what nobody owns.
/// Any process; one lock (taken inside, last in the order).

#include "arena/arena.h"

enum {
  WR_SLAB_PAGE = 64 * 1024,
  WR_SLAB_OBJECT_MAX = 64 * 1024 * 1024, ///< bytes of one object
};

/// Who an object belongs to: a kind of owner and its number. Never 0.
enum wr_slab_owner { WR_SLAB_ENTRY_STATE = 1, WR_SLAB_ENTRY_CONFIG };

/// `size` zeroed bytes, 16-byte aligned, or NULL when the section is full or `size` is above
/// WR_SLAB_OBJECT_MAX.
void *wr_slab_take(struct wr_arena *a, size_t size, enum wr_slab_owner kind, uint32_t number);

/// Gives an object back; NULL is fine.
void wr_slab_give(struct wr_arena *a, void *object);

/// Frees every object of `kind` that `is_owned` denies; the caller holds the owners' lock.
void wr_slab_reclaim(struct wr_arena *a, enum wr_slab_owner kind,
                     bool (*is_owned)(struct wr_arena *a, uint32_t number, const void *object));

/// Frees every object of one owner but `kept`; the caller holds what keeps that owner from taking
/// others meanwhile.
void wr_slab_reclaim_of(struct wr_arena *a, enum wr_slab_owner kind, uint32_t number,
                        const void *kept);

struct wr_slab_stats {
  size_t bytes_max;  ///< of the section
  size_t bytes_used; ///< in pages that hold objects
  uint64_t objects;
  uint64_t refused; ///< requests that found it full
};

/// Fills `*stats`; takes the locks it needs.
void wr_slab_stats(struct wr_arena *a, struct wr_slab_stats *stats);

/// Bytes the section needs at least for `object_bytes` of objects. For wr_arena_open.
size_t wr_slab_size(size_t object_bytes);

/// Makes an empty slab of a zeroed section of `size` bytes. For wr_arena_open.
void wr_slab_init(struct wr_slab *s, size_t size);

/// The part of the section that was ever used. For wr_arena_privatise, which holds the lock.
size_t wr_slab_used(const struct wr_slab *s);

/// Takes and gives the section's lock, repairing the slab first when its holder died.
void wr_slab_lock(struct wr_arena *a);
void wr_slab_unlock(struct wr_arena *a);
