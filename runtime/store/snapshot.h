#pragma once
/// Named state as JSON, so that it outlives the program: written when it stops, or for a binary
/// whose arena has another layout, and read by the next one.
///
/// Portable: by kinds, names and fields, never by bytes of a struct. Read-back is a suggestion: a
/// primitive that is not declared any more is left out, a field that makes no sense leaves its
/// value as it was, and every state is repaired after it was read, as after a crash. Which kinds
/// have what to say is told by their `archive` (arena/registry.h). Limit: WR_SNAPSHOT_BYTES_MAX.

#include "arena/registry.h"
#include "base/buf.h"

enum {
  WR_SNAPSHOT_VERSION = 1, ///< of the format; another one is not read
  WR_SNAPSHOT_BYTES_MAX = 64 * 1024 * 1024,
};

struct wr_snapshot;

/// Writes all named state of `r`; `wall_ns` is Unix time. Takes the entries' locks one by one.
/// False when it takes more than `out` has room for.
bool wr_snapshot_write(struct wr_registry *r, uint64_t now_ns, uint64_t wall_ns,
                       struct wr_buf *out);

/// Reads a snapshot. NULL with a set error that says what is wrong and, of a text that is no JSON,
/// where. To be freed by `wr_snapshot_free`.
struct wr_snapshot *wr_snapshot_parse(struct wr_str text, struct wr_error *error);

/// The seed of the arena that it was taken of: keys of limiters are known by hashes that follow
/// from it.
uint64_t wr_snapshot_seed(const struct wr_snapshot *s);

/// How long ago it was written, by the wall clock; 0 when that has been set back.
uint64_t wr_snapshot_age(const struct wr_snapshot *s, uint64_t wall_ns);

/// Gives their state to the primitives that are declared. Returns how many got it.
size_t wr_snapshot_restore(const struct wr_snapshot *s, struct wr_registry *r, uint64_t now_ns,
                           uint64_t wall_ns);

/// How many primitives it has.
size_t wr_snapshot_count(const struct wr_snapshot *s);

/// NULL is fine.
void wr_snapshot_free(struct wr_snapshot *s);
