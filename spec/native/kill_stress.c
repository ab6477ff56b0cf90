// Eight processes on one arena; the parent kills them at random instructions, settles what they
// left and starts others: kill_stress [KILLS [SEED [KIND]]]
//
// After each settlement every admission counted by a primitive has a living ledger row, breakers
// leave half-open in time, and at the end nobody is inside anything. All the time the parent reads
// what they write into the journal: whole records only.

#include "stress_journal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { KILLS_DEFAULT = 300, GAP_MAX = 4000, CANDIDATE_EVERY = 16, STUCK_SECONDS = 60 };

struct run {
  struct stress_world *world;
  struct wr_registry registry;
  struct wr_rng rng;
  uint64_t seed;
  pid_t pids[WORKERS];
  uint64_t kills, settled;
  struct stress_reader reader;
};

static void work(struct run *run, uint32_t slot)
{
  struct stress_worker me;
  stress_worker_init(&me, run->world, slot, run->seed + run->kills * WORKERS + slot + 1);
  while (!atomic_load_explicit(&run->world->is_over, memory_order_relaxed)) {
    stress_step(&me);
    if (wr_rng_below(&me.rng, 8) == 0) stress_journal_write(&me);
  }
  wr_guard_fini(&me.guard, stress_now(run->world));
  _exit(0);
}

static void start(struct run *run, uint32_t slot)
{
  fflush(stdout);
  pid_t pid = fork();
  WR_CHECK(pid >= 0);
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL); // a failed run leaves nobody behind
    alarm(0);
    work(run, slot);
  }
  run->pids[slot] = pid;
  wr_slot_take(wr_slot_of(run->world->arena, slot), pid, stress_now(run->world));
}

static int wait_for(pid_t pid)
{
  int status;
  while (waitpid(pid, &status, 0) != pid) WR_CHECK(errno == EINTR);
  return status;
}

static uint64_t steps_done(struct stress_world *w)
{
  uint64_t sum = 0;
  for (int i = 0; i < WORKERS; i++) sum += atomic_load(&w->steps[i]);
  return sum;
}

// Lets the workers go on for a while; no progress for a minute ends the run by SIGALRM. A worker
// that died by itself found something wrong.
static void let_run(struct run *run, uint64_t steps)
{
  uint64_t until = steps_done(run->world) + steps;
  alarm(STUCK_SECONDS);
  while (steps_done(run->world) < until) {
    int status;
    WR_CHECK(waitpid(-1, &status, WNOHANG) == 0);
    if (wr_rng_below(&run->rng, 4) == 0) poll(NULL, 0, 1);
    stress_reader_read(&run->reader, run->world->arena);
    wr_guard_advance(&run->registry, stress_now(run->world), NULL);
  }
}

static void settle(struct run *run, uint32_t slot)
{
  struct wr_arena *a = run->world->arena;
  uint64_t now = stress_now(run->world);
  wr_slot_leave(wr_slot_of(a, slot), false);
  run->settled += wr_guard_settle_dead(&run->registry, slot, now, NULL);
  wr_registry_wipe(&run->registry, slot);
  wr_series_forget(a, slot);
  wr_guard_advance(&run->registry, now, NULL);
  WR_CHECK(wr_ledger_count(a, slot) == 0);
  stress_check(run->world, &run->registry);
}

static void kill_one(struct run *run)
{
  uint32_t slot = (uint32_t)wr_rng_below(&run->rng, WORKERS);
  kill(run->pids[slot], SIGKILL);
  int status = wait_for(run->pids[slot]);
  WR_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  run->kills++;
  settle(run, slot);
  start(run, slot);
}

// A candidate does in its copy what it likes: declares, admits, and never leaves.
static void try_candidate(struct run *run)
{
  fflush(stdout);
  pid_t pid = fork();
  WR_CHECK(pid >= 0);
  if (pid == 0) {
    struct stress_worker me;
    struct wr_error error;
    alarm(STUCK_SECONDS);
    WR_CHECK(wr_arena_privatise(run->world->arena, &error));
    stress_worker_init(&me, run->world, wr_slot_master(run->world->arena), run->seed);
    for (int i = 0; i < 200; i++) stress_registry(&me, stress_now(run->world));
    _exit(0);
  }
  if (wr_rng_below(&run->rng, 4) == 0) {
    kill(pid, SIGKILL);
    wait_for(pid);
  } else {
    WR_CHECK(wait_for(pid) == 0);
  }
  WR_CHECK(wr_ledger_count(run->world->arena, wr_slot_master(run->world->arena)) == 0);
}

static void finish(struct run *run)
{
  atomic_store(&run->world->is_over, true);
  for (uint32_t i = 0; i < WORKERS; i++) WR_CHECK(wait_for(run->pids[i]) == 0);
  uint64_t now = stress_now(run->world);
  for (uint32_t i = 0; i < WORKERS; i++) wr_guard_settle_dead(&run->registry, i, now, NULL);
  stress_check_empty(run->world, &run->registry);
  stress_check_series(run->world, run->kills);
  WR_CHECK(run->reader.read > 0);
  wr_buf_fini(&run->reader.record);
}

int main(int argc, char **argv)
{
  static struct wr_arena arena;
  uint64_t kills = argc > 1 ? strtoull(argv[1], NULL, 10) : KILLS_DEFAULT;
  struct run run = {.seed = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)time(NULL)};
  const char *kind = argc > 3 ? argv[3] : "all";
  enum wr_kind only = stress_kind_called(kind);
  printf("kill_stress %llu %llu %s\n", (unsigned long long)kills, (unsigned long long)run.seed,
         kind);
  wr_rng_init(&run.rng, run.seed);
  run.world =
      mmap(NULL, sizeof(*run.world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  WR_CHECK(run.world != MAP_FAILED);
  run.world->arena = &arena;
  stress_world_init(run.world, &run.registry, only, run.seed);
  stress_reader_init(&run.reader);
  for (uint32_t i = 0; i < WORKERS; i++) start(&run, i);
  while (run.kills < kills) {
    let_run(&run, wr_rng_below(&run.rng, GAP_MAX));
    kill_one(&run);
    if (run.kills % CANDIDATE_EVERY == 0) try_candidate(&run);
    if (run.kills % 8 == 0) wr_registry_sweep(&run.registry, stress_now(run.world));
  }
  finish(&run);
  printf("ok: %llu kills, %llu rows settled, %llu repairs, %llu steps\n",
         (unsigned long long)run.kills, (unsigned long long)run.settled,
         (unsigned long long)atomic_load(&run.world->arena->header->repairs),
         (unsigned long long)steps_done(run.world));
  return 0;
}
