#pragma once
/// A mutex shared by all processes that survives its holder's death.
///
/// Lives in the arena. When a holder dies, the next taker is told and must make the guarded state
/// valid before it goes on. In a privatised arena locks do nothing: the copy has one user, and a
/// lock may have been copied while somebody held it. Sections under a lock are short and never
/// block.

#include <stdbool.h>
#include <stdint.h>

struct wr_arena;

struct wr_lock {
  uint64_t words[6]; // private: a pthread_mutex_t
};

/// Makes a free lock of zeroed memory. Once, before any other process sees it.
void wr_lock_init(struct wr_lock *lock);

/// Takes the lock. True when its holder died inside: repair what it guards, then call
/// `wr_lock_mark_repaired`; should the repairer die too, the next taker is told again.
bool wr_lock_take(const struct wr_arena *arena, struct wr_lock *lock);

/// Ends a repair. Only after `wr_lock_take` returned true, still holding the lock.
void wr_lock_mark_repaired(const struct wr_arena *arena, struct wr_lock *lock);

/// Gives the lock back.
void wr_lock_give(const struct wr_arena *arena, struct wr_lock *lock);
