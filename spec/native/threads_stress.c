// Eight threads on one arena, each a worker of its own: threads_stress [OPERATIONS [SEED [KIND]]]
//
// OPERATIONS are of all threads together, each an eighth; a step for which there was nothing to do
// (to leave, and nobody is in) is none. KIND is a primitive to try alone ("all"). Built with the
// tsan preset it shows data races; with any, that nothing is lost or admitted twice.

#include "stress.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { OPERATIONS_DEFAULT = 100000, CHECK_EVERY = 5000 };

struct thread {
  pthread_t id;
  struct stress_worker worker;
  uint64_t operations;
};

// The first one is the master too: it advances, checks and sweeps.
static void *run(void *arg)
{
  struct thread *t = arg;
  struct stress_worker *me = &t->worker;
  for (uint64_t i = 0; me->operations < t->operations; i++) {
    stress_step(me);
    if (me->slot != 0) continue;
    uint64_t now = stress_now(me->world);
    if (i % 50 == 0) wr_guard_advance(&me->registry, now, NULL);
    if (i % CHECK_EVERY == 0) stress_check(me->world, &me->registry);
    if (i % CHECK_EVERY == 0) wr_registry_sweep(&me->registry, now);
  }
  wr_guard_fini(&me->guard, stress_now(me->world));
  return NULL;
}

int main(int argc, char **argv)
{
  static struct stress_world world;
  static struct wr_arena arena;
  static struct thread threads[WORKERS];
  struct wr_registry registry;
  uint64_t operations = argc > 1 ? strtoull(argv[1], NULL, 10) : OPERATIONS_DEFAULT;
  uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)time(NULL);
  const char *kind = argc > 3 ? argv[3] : "all";
  enum wr_kind only = stress_kind_called(kind);
  printf("threads_stress %llu %llu %s\n", (unsigned long long)operations, (unsigned long long)seed,
         kind);
  fflush(stdout);
  world.arena = &arena;
  stress_world_init(&world, &registry, only, seed);
  for (uint32_t i = 0; i < WORKERS; i++) {
    threads[i].operations = operations / WORKERS;
    stress_worker_init(&threads[i].worker, &world, i, seed + i + 1);
  }
  for (uint32_t i = 0; i < WORKERS; i++) {
    WR_CHECK(pthread_create(&threads[i].id, NULL, run, &threads[i]) == 0);
  }
  for (uint32_t i = 0; i < WORKERS; i++) pthread_join(threads[i].id, NULL);
  stress_check_empty(&world, &registry);
  stress_check_series(&world, 0);
  wr_arena_fini(world.arena);
  printf("ok\n");
  return 0;
}
