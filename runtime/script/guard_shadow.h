#pragma once
/// A shadow of primitives: others of the same kind, under other options, are asked what the real
/// ones are asked, and hear how each call ended. They decide nothing; where they decide otherwise
/// is counted in their entries, for all processes together.
///
/// They start empty, and nobody waits in their queues: a call that waits at the real one, and would
/// find no room at once at the shadow, counts as decided alike. A call that only the real one
/// refused is ignored by the shadow. One loop's own.

#include "base/map.h"
#include "script/guard.h"

/// Between the name of what is shadowed and the number of the generation that does: "pay (shadow
/// 7)".
#define WR_GUARD_SHADOW_MARK " (shadow "

struct wr_guard_shadow {
  struct wr_guard *guard;
  struct wr_map entries;    // real entry -> its shadow, by index
  struct wr_map admissions; // real id -> the shadow's
};

/// Which kinds can be shadowed: those that refuse calls.
bool wr_guard_shadow_takes(enum wr_kind kind);

/// Begins without entries; the guard consults it from now on.
void wr_guard_shadow_init(struct wr_guard_shadow *s, struct wr_guard *g);

/// Settles what is open, and ends it.
void wr_guard_shadow_fini(struct wr_guard_shadow *s, uint64_t now_ns);

/// `shadow` is asked beside `real`, which is of the same kind. Both must stay while this does.
void wr_guard_shadow_add(struct wr_guard_shadow *s, const struct wr_entry *real,
                         struct wr_entry *shadow);

/// The name of what an entry shadows, within its own; absent: it is no shadow.
struct wr_str wr_guard_shadow_of(const struct wr_entry *entry);

// For guard*.c

/// The real one decided.
void wr_guard_shadow_entered(struct wr_guard_shadow *s, const struct wr_entry *real,
                             const struct wr_guard_ask *ask, enum wr_guard_admission result,
                             uint64_t now_ns);

/// The call that the real one admitted or queued is over.
void wr_guard_shadow_left(struct wr_guard_shadow *s, uint64_t id, enum wr_outcome outcome,
                          uint64_t now_ns);
