#include "arena/lock.h"

#include "arena/arena.h"
#include "base/check.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(struct wr_lock), "a lock holds a mutex");
_Static_assert(_Alignof(pthread_mutex_t) <= _Alignof(struct wr_lock), "a lock is aligned for one");

enum { SPINS = 64 }; // pauses before the last try: 3 us in all

static pthread_mutex_t *mutex_of(struct wr_lock *lock)
{
  return (pthread_mutex_t *)lock->words;
}

void wr_lock_init(struct wr_lock *lock)
{
  pthread_mutexattr_t attr;
  WR_CHECK(pthread_mutexattr_init(&attr) == 0);
  WR_CHECK(pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED) == 0);
  WR_CHECK(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST) == 0);
  WR_CHECK(pthread_mutex_init(mutex_of(lock), &attr) == 0);
  pthread_mutexattr_destroy(&attr);
}

static void pause_briefly(int times)
{
  for (int i = 0; i < times; i++) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
  }
}

// A section takes less time than falling asleep and being woken, so ask a few times before.
static int take_after_a_while(pthread_mutex_t *mutex)
{
  int rc = EBUSY;
  for (int i = 1; i <= SPINS && rc == EBUSY; i *= 2) {
    pause_briefly(i);
    rc = pthread_mutex_trylock(mutex);
  }
  return rc == EBUSY ? pthread_mutex_lock(mutex) : rc;
}

bool wr_lock_take(const struct wr_arena *arena, struct wr_lock *lock)
{
  if (arena->is_private) return false;
  int rc = pthread_mutex_trylock(mutex_of(lock));
  if (rc == EBUSY) rc = take_after_a_while(mutex_of(lock));
  WR_CHECK(rc == 0 || rc == EOWNERDEAD);
  return rc == EOWNERDEAD;
}

void wr_lock_mark_repaired(const struct wr_arena *arena, struct wr_lock *lock)
{
  if (arena->is_private) return;
  WR_CHECK(pthread_mutex_consistent(mutex_of(lock)) == 0);
  atomic_fetch_add_explicit(&arena->header->repairs, 1, memory_order_relaxed);
}

void wr_lock_give(const struct wr_arena *arena, struct wr_lock *lock)
{
  if (arena->is_private) return;
  WR_CHECK(pthread_mutex_unlock(mutex_of(lock)) == 0);
}
