#include "arena/journal.h"

#include "base/check.h"

#include <stdatomic.h>
#include <string.h>

// Positions count bytes since the beginning and only grow; a byte's place is its position modulo
// the size, a power of two. Whole records lie from `oldest` to `ended`. A writer first says how far
// it will write
// (`begun`), then writes, then moves `ended`; whoever has copied a record looks at `begun` to find
// out whether it was written over meanwhile.
struct ring {
  _Atomic uint64_t begun;
  _Atomic uint64_t ended;
  _Atomic uint64_t oldest;
  _Atomic uint64_t count; // records so far
};

struct wr_journal_table {
  _Atomic uint64_t followed_until_ns;
};

struct record {
  uint64_t number;
  uint64_t size;
};

enum { UNIT = 8, READ_TRIES = 16 };

#define EVENT_BYTES ((size_t)64 << 10)
#define LINE_BYTES ((size_t)256 << 10)
#define CHAIN_BYTES ((size_t)512 << 10)
#define FAILED_BYTES ((size_t)256 << 10)

static const size_t sizes[WR_JOURNAL_RINGS] = {EVENT_BYTES, LINE_BYTES, CHAIN_BYTES, FAILED_BYTES};

static size_t offset_of(enum wr_journal_ring ring)
{
  size_t at = 0;
  for (int i = 0; i < (int)ring; i++) at += sizeof(struct ring) + sizes[i];
  return at;
}

size_t wr_journal_size(uint32_t slot_count)
{
  return sizeof(struct wr_journal_table) + slot_count * offset_of(WR_JOURNAL_RINGS);
}

static struct ring *ring_of(const struct wr_arena *a, uint32_t slot, enum wr_journal_ring ring)
{
  WR_CHECK(slot < a->header->slot_count);
  char *rings = (char *)(a->header->journal + 1);
  return (struct ring *)(rings + slot * offset_of(WR_JOURNAL_RINGS) + offset_of(ring));
}

static uint64_t room_of(uint64_t size)
{
  return (sizeof(struct record) + size + UNIT - 1) / UNIT * UNIT;
}

// --- bytes of a ring ----------------------------------------------------------------------------

static void put(struct ring *r, size_t size, uint64_t at, const void *from, size_t len)
{
  char *bytes = (char *)(r + 1);
  size_t place = at & (size - 1);
  size_t first = len < size - place ? len : size - place;
  memcpy(bytes + place, from, first);
  if (first < len) memcpy(bytes, (const char *)from + first, len - first);
}

static void get(const struct ring *r, size_t size, uint64_t at, void *to, size_t len)
{
  const char *bytes = (const char *)(r + 1);
  size_t place = at & (size - 1);
  size_t first = len < size - place ? len : size - place;
  memcpy(to, bytes + place, first);
  if (first < len) memcpy((char *)to + first, bytes, len - first);
}

// --- writing ------------------------------------------------------------------------------------

static void forget_until(struct ring *r, size_t size, uint64_t end)
{
  uint64_t oldest = atomic_load_explicit(&r->oldest, memory_order_relaxed);
  while (end > oldest + size) {
    struct record head;
    get(r, size, oldest, &head, sizeof(head));
    oldest += room_of(head.size);
  }
  atomic_store_explicit(&r->oldest, oldest, memory_order_relaxed);
}

void wr_journal_write(const struct wr_arena *a, uint32_t slot, enum wr_journal_ring ring,
                      struct wr_str record)
{
  struct ring *r = ring_of(a, slot, ring);
  size_t size = sizes[ring];
  struct record head = {atomic_fetch_add_explicit(&r->count, 1, memory_order_relaxed), record.len};
  if (record.len == 0 || record.len > WR_JOURNAL_RECORD_MAX) return;
  uint64_t at = atomic_load_explicit(&r->ended, memory_order_relaxed);
  uint64_t end = at + room_of(record.len);
  forget_until(r, size, end);
  atomic_store_explicit(&r->begun, end, memory_order_relaxed);
  atomic_thread_fence(memory_order_release);
  put(r, size, at, &head, sizeof(head));
  put(r, size, at + sizeof(head), record.ptr, record.len);
  atomic_store_explicit(&r->ended, end, memory_order_release);
}

// --- reading ------------------------------------------------------------------------------------

static bool is_written_over(const struct ring *r, size_t size, uint64_t at)
{
  atomic_thread_fence(memory_order_acquire);
  return atomic_load_explicit(&r->begun, memory_order_relaxed) > at + size;
}

// Copies the record at `at`; false when it was written over meanwhile, at any moment.
static bool copy(const struct ring *r, size_t size, uint64_t at, struct record *head,
                 struct wr_buf *out)
{
  get(r, size, at, head, sizeof(*head));
  if (is_written_over(r, size, at)) return false;
  wr_buf_clear(out);
  char *to = wr_buf_reserve(out, head->size);
  if (to == NULL) return true;
  get(r, size, at + sizeof(*head), to, head->size);
  if (is_written_over(r, size, at)) return false;
  wr_buf_grow(out, head->size);
  return true;
}

bool wr_journal_next(const struct wr_arena *a, struct wr_journal_cursor *cursor, struct wr_buf *out)
{
  const struct ring *r = ring_of(a, cursor->slot, cursor->ring);
  struct record head;
  for (int tries = 0; tries < READ_TRIES; tries++) {
    if (cursor->at >= atomic_load_explicit(&r->ended, memory_order_acquire)) return false;
    uint64_t oldest = atomic_load_explicit(&r->oldest, memory_order_relaxed);
    if (cursor->at < oldest) cursor->at = oldest;
    if (!copy(r, sizes[cursor->ring], cursor->at, &head, out)) continue;
    if (out->len == 0) break; // no writer of ours wrote that
    if (head.number > cursor->next) cursor->missed += head.number - cursor->next;
    cursor->next = head.number + 1;
    cursor->at += room_of(head.size);
    return true;
  }
  // Damaged, or written faster than it can be read: on with what comes from now on.
  wr_journal_skip(a, cursor);
  return false;
}

void wr_journal_skip(const struct wr_arena *a, struct wr_journal_cursor *cursor)
{
  const struct ring *r = ring_of(a, cursor->slot, cursor->ring);
  cursor->at = atomic_load_explicit(&r->ended, memory_order_acquire);
  cursor->next = atomic_load_explicit(&r->count, memory_order_relaxed);
}

void wr_journal_seek(const struct wr_arena *a, struct wr_journal_cursor *cursor, uint64_t number)
{
  const struct ring *r = ring_of(a, cursor->slot, cursor->ring);
  size_t size = sizes[cursor->ring];
  cursor->at = atomic_load_explicit(&r->oldest, memory_order_relaxed);
  cursor->next = number;
  while (cursor->at < atomic_load_explicit(&r->ended, memory_order_acquire)) {
    struct record head;
    get(r, size, cursor->at, &head, sizeof(head));
    // Written over, damaged, or there: reading finds out.
    if (is_written_over(r, size, cursor->at) || head.number >= number) return;
    if (head.size > WR_JOURNAL_RECORD_MAX) return;
    cursor->at += room_of(head.size);
  }
}

// --- following ----------------------------------------------------------------------------------

void wr_journal_follow(const struct wr_arena *a, uint64_t until_ns)
{
  _Atomic uint64_t *wish = &a->header->journal->followed_until_ns;
  uint64_t before = atomic_load_explicit(wish, memory_order_relaxed);
  while (before < until_ns && !atomic_compare_exchange_weak(wish, &before, until_ns)) continue;
}

bool wr_journal_is_followed(const struct wr_arena *a, uint64_t now_ns)
{
  return atomic_load_explicit(&a->header->journal->followed_until_ns, memory_order_relaxed) >
         now_ns;
}
