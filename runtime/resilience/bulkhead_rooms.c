#include "resilience/bulkhead_rooms.h"

// A number is the room's place in the table and one, and the table's epoch above that, so that rows
// from before a move do not mean a room of the new table.

enum { PLACE_BITS = 20 };

#define PLACE_MASK ((UINT32_C(1) << PLACE_BITS) - 1)

static bool is_busy(const void *cell, const void *ctx, uint64_t now_ns)
{
  (void)ctx, (void)now_ns;
  const struct wr_bulkhead_room *room = cell;
  return wr_bulkhead_room_is_busy(room) || room->is_ready;
}

static struct wr_keyed table_of(const struct wr_bulkhead *b)
{
  return (struct wr_keyed){
      .sets = wr_keyed_sets(b->config.max_keys),
      .cell_bytes = sizeof(struct wr_bulkhead_room),
      .is_busy = is_busy,
      .cells = (char *)b->rooms,
  };
}

static uint32_t room_count(const struct wr_bulkhead *b)
{
  uint32_t sets = wr_keyed_sets(b->config.max_keys);
  return (uint32_t)(wr_keyed_bytes(sets, sizeof(struct wr_bulkhead_room)) /
                    sizeof(struct wr_bulkhead_room));
}

size_t wr_bulkhead_bytes(const struct wr_bulkhead_config *config)
{
  uint32_t sets = wr_keyed_sets(config->max_keys);
  return sizeof(struct wr_bulkhead) + wr_keyed_bytes(sets, sizeof(struct wr_bulkhead_room));
}

static struct wr_bulkhead_room *first_room(const struct wr_bulkhead *b)
{
  return (struct wr_bulkhead_room *)b->rooms;
}

struct wr_bulkhead_room *wr_bulkhead_room_take(struct wr_bulkhead *b, uint64_t key, uint64_t now_ns,
                                               uint32_t *number)
{
  *number = 0;
  if (key == 0 || b->config.max_keys == 0) return &b->all;
  struct wr_keyed table = table_of(b);
  struct wr_keyed_found found = wr_keyed_take(&table, wr_keyed_key(key), now_ns);
  struct wr_bulkhead_room *room = found.cell;
  if (found.is_new) {
    wr_list_init(&room->waiters);
    room->empty_ns = now_ns;
  }
  b->shared += found.is_shared;
  *number = b->epoch << PLACE_BITS | ((uint32_t)(room - first_room(b)) + 1);
  return room;
}

struct wr_bulkhead_room *wr_bulkhead_room_at(struct wr_bulkhead *b, uint32_t number)
{
  uint32_t place = number & PLACE_MASK;
  bool is_current = number >> PLACE_BITS == (b->epoch & (UINT32_MAX >> PLACE_BITS));
  if (place == 0 || place > room_count(b) || !is_current) return &b->all;
  return &first_room(b)[place - 1];
}

const struct wr_bulkhead_room *wr_bulkhead_room_of(struct wr_bulkhead *b,
                                                   const struct wr_bulkhead_waiter *waiter)
{
  return wr_bulkhead_room_at(b, waiter->room);
}

void wr_bulkhead_room_ready(struct wr_bulkhead *b, uint32_t number)
{
  struct wr_bulkhead_room *room = wr_bulkhead_room_at(b, number);
  if (room == &b->all || room->is_ready || room->queued == 0) return;
  room->is_ready = true;
  room->next_ready = b->ready;
  b->ready = number;
}

void wr_bulkhead_room_all_ready(struct wr_bulkhead *b)
{
  for (uint32_t place = 1; b->queued > b->all.queued && place <= room_count(b); place++) {
    wr_bulkhead_room_ready(b, b->epoch << PLACE_BITS | place);
  }
}

void wr_bulkhead_room_pop(struct wr_bulkhead *b)
{
  struct wr_bulkhead_room *room = wr_bulkhead_room_at(b, b->ready);
  b->ready = room->next_ready;
  room->is_ready = false;
}

// Moving

static void move_queue(struct wr_list *to, const struct wr_bulkhead_room *from)
{
  struct wr_list *head = (struct wr_list *)&from->waiters;
  if (from->queued == 0) return;
  WR_LIST_EACH(head, node) WR_CONTAINER(node, struct wr_bulkhead_waiter, link)->room = 0;
  to->prev->next = head->next;
  head->next->prev = to->prev;
  head->prev->next = to;
  to->prev = head->prev;
}

void wr_bulkhead_move(struct wr_bulkhead *to, const struct wr_bulkhead *from,
                      const struct wr_bulkhead_config *config, uint64_t now_ns)
{
  wr_bulkhead_init(to, config, now_ns);
  wr_bulkhead_adopt(to, config, from);
  to->counters = from->counters;
  to->shared = from->shared;
  to->epoch = from->epoch + 1;
  to->in_use = to->all.in_use = from->in_use;
  to->queued = to->all.queued = from->queued;
  move_queue(&to->all.waiters, &from->all);
  for (uint32_t i = 0; i < room_count(from); i++) {
    const struct wr_bulkhead_room *room = &first_room(from)[i];
    if (room->head.key != 0) move_queue(&to->all.waiters, room);
  }
}

// Repair

void wr_bulkhead_room_reset(struct wr_bulkhead *b)
{
  for (uint32_t i = 0; i < room_count(b); i++) {
    struct wr_bulkhead_room *room = &first_room(b)[i];
    *room = (struct wr_bulkhead_room){.head = room->head};
    wr_list_init(&room->waiters);
  }
  b->keys = 0;
  b->ready = 0;
}
