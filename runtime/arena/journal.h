#pragma once
/// What a process has to tell whoever listens: rings of records in the arena, one set per slot.
///
/// A slot's process writes, and never waits: a ring that is full forgets its oldest records. Any
/// process reads, with a cursor of its own and without a lock; one that is too slow misses records
/// and learns how many. A writer that dies in the middle leaves nothing half-written to be read.
/// Records outlive their writer, and a reader goes on with the next process of the slot.

#include "arena/arena.h"
#include "base/buf.h"
#include "base/str.h"

enum wr_journal_ring {
  WR_JOURNAL_EVENTS, ///< log lines that are neither access lines nor a script's
  WR_JOURNAL_LINES,  ///< those, while somebody follows them
  WR_JOURNAL_CHAINS, ///< how requests were decided (observe/explain.h)
  WR_JOURNAL_FAILED, ///< the same of those that failed, so that others do not push them out
  WR_JOURNAL_RINGS
};

enum { WR_JOURNAL_RECORD_MAX = 32 * 1024 }; ///< bytes of a record

struct wr_journal_table;

/// Where a reader is in one ring. Whoever sets slot and ring only is at its oldest record.
struct wr_journal_cursor {
  uint32_t slot;
  enum wr_journal_ring ring;
  uint64_t missed; ///< records that were gone before they were read; who tells of them sets it to 0
  uint64_t at;     ///< private
  uint64_t next;   ///< read-only: number of the record that comes next
};

/// Adds a record, of the calling process's own slot. One that is too long counts as missed.
void wr_journal_write(const struct wr_arena *a, uint32_t slot, enum wr_journal_ring ring,
                      struct wr_str record);

/// Replaces the content of `out`, which takes WR_JOURNAL_RECORD_MAX bytes, by the next record and
/// moves the cursor past it; false when there is none yet.
bool wr_journal_next(const struct wr_arena *a, struct wr_journal_cursor *cursor,
                     struct wr_buf *out);

/// Moves the cursor to the end: only what is written from now on will come.
void wr_journal_skip(const struct wr_arena *a, struct wr_journal_cursor *cursor);

/// Moves the cursor to record `number`, or to what is left behind it: what is gone by then counts
/// as missed when the next one is read. For who comes back with a number that a cursor had in
/// `next`.
void wr_journal_seek(const struct wr_arena *a, struct wr_journal_cursor *cursor, uint64_t number);

/// Somebody wants the lines until `until_ns`, monotonic; the latest wish counts.
void wr_journal_follow(const struct wr_arena *a, uint64_t until_ns);

/// Does somebody?
bool wr_journal_is_followed(const struct wr_arena *a, uint64_t now_ns);

/// Bytes of the section. For wr_arena_open.
size_t wr_journal_size(uint32_t slot_count);
