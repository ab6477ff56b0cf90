#include "arena/lock.h"

#include "arena/arena.h"
#include "base/check.h"
#include "base/duration.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(struct wr_lock), "a lock holds a mutex");
_Static_assert(_Alignof(pthread_mutex_t) <= _Alignof(struct wr_lock), "a lock is aligned for one");

enum { SPINS = 64 }; // pauses before the last try: 3 us in all

#define RETRY_NS (10 * WR_MS) // longest sleep before asking again

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

// The kernel demands that the first word of a robust lock names its holder.
static uint32_t holder_of(pthread_mutex_t *mutex)
{
  return __atomic_load_n((uint32_t *)mutex, __ATOMIC_RELAXED) & FUTEX_TID_MASK;
}

static uint64_t in_a_while(void)
{
  struct timespec now;
  WR_CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
  return (uint64_t)now.tv_sec * WR_SECOND + (uint64_t)now.tv_nsec + RETRY_NS;
}

// No sleep is without end. A waiter that is killed in the moment in which it is woken takes the
// wake along: the others would sleep on a lock that nobody holds, with what they hold themselves.
// And whoever was stopped inside gives the lock back only in death, which one process alone can see
// to.
static int wait_for(const struct wr_arena *arena, pthread_mutex_t *mutex)
{
#ifdef __SANITIZE_THREAD__
  if (arena->on_wait == NULL) return pthread_mutex_lock(mutex); // GCC 12's does not see clocklock
#endif
  int rc = ETIMEDOUT;
  for (uint32_t holder = 0; rc == ETIMEDOUT; holder = holder_of(mutex)) {
    uint64_t until_ns = in_a_while();
    if (arena->on_wait) until_ns = arena->on_wait(arena->on_wait_ctx, holder);
    struct timespec until = {.tv_sec = (time_t)(until_ns / WR_SECOND),
                             .tv_nsec = (long)(until_ns % WR_SECOND)};
    rc = pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &until);
  }
  return rc;
}

// A section takes less time than falling asleep and being woken, so ask a few times before.
static int take_after_a_while(const struct wr_arena *arena, pthread_mutex_t *mutex)
{
  int rc = EBUSY;
  for (int i = 1; i <= SPINS && rc == EBUSY; i *= 2) {
    pause_briefly(i);
    rc = pthread_mutex_trylock(mutex);
  }
  return rc == EBUSY ? wait_for(arena, mutex) : rc;
}

bool wr_lock_take(const struct wr_arena *arena, struct wr_lock *lock)
{
  if (arena->is_private) return false;
  int rc = pthread_mutex_trylock(mutex_of(lock));
  if (rc == EBUSY) rc = take_after_a_while(arena, mutex_of(lock));
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
