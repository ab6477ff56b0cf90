#pragma once
/// The rooms of a bulkhead, by key. For bulkhead*.c.
///
/// A room has a number, which rows keep: 0 is the room of calls without a key, and what a number
/// means nothing any more (the table was replaced) belongs there too.

#include "resilience/bulkhead.h"

/// Takes over a configuration, under the maximum that an operator has ordered of `from`, if any.
void wr_bulkhead_adopt(struct wr_bulkhead *b, const struct wr_bulkhead_config *config,
                       const struct wr_bulkhead *from);

/// The room of a key's hash, claimed for it; its number goes to `*number`.
struct wr_bulkhead_room *wr_bulkhead_room_take(struct wr_bulkhead *b, uint64_t key, uint64_t now_ns,
                                               uint32_t *number);

/// The room with a number.
struct wr_bulkhead_room *wr_bulkhead_room_at(struct wr_bulkhead *b, uint32_t number);

/// Puts a room that may have something to tell its waiters into the list, and all such rooms.
void wr_bulkhead_room_ready(struct wr_bulkhead *b, uint32_t number);
void wr_bulkhead_room_all_ready(struct wr_bulkhead *b);

/// Takes the first room out of that list.
void wr_bulkhead_room_pop(struct wr_bulkhead *b);

/// Empties all rooms of keys; keys keep their places. For a repair.
void wr_bulkhead_room_reset(struct wr_bulkhead *b);

/// Whether anybody is in a room.
static inline bool wr_bulkhead_room_is_busy(const struct wr_bulkhead_room *room)
{
  return room->in_use > 0 || room->queued > 0;
}
