// What each primitive costs: bench_primitives [MILLISECONDS [WORD]]
//
// Prints lines of `what TAB how TAB number TAB unit`, one measurement each of about so many ms (20);
// run.lua runs it again and again and takes medians. With WORD only operations that contain it: for
// a profiler. `c` is the pure function, `guard` the same
// through the entry's lock and the ledger, both in processor time. `alone`, `2 threads` and
// `2 processes` are workers at one entry, `apart` two processes at an entry each: time on the clock
// by operations of all.

#include "arena/cache.h"
#include "base/alloc.h"
#include "base/check.h"
#include "base/duration.h"
#include "bench.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STEP_NS UINT64_C(1000)

enum { BATCH = 256, WARM = 1024 }; // calls between looks at the clock, and before the first

static double clock_ns(clockid_t id)
{
  struct timespec t;
  clock_gettime(id, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void print(const char *what, const char *how, double number, const char *unit)
{
  printf("%s\t%s\t%.2f\t%s\n", what, how, number, unit);
}

// The world

static void fill_cache(struct bench *b, struct wr_entry *space)
{
  static char value[1024];
  for (char c = 'a'; c < 'a' + 16; c++) {
    char key[2] = {'k', c};
    struct wr_cache_item item = {.at = {space, {key, 2}, false}, .value = {value, sizeof(value)}};
    WR_CHECK(wr_cache_set(&b->arena, &item, WR_SECOND) == WR_CACHE_STORED);
  }
}

static void add_sample(struct bench *b, uint32_t index)
{
  const struct bench_sample *s = &bench_samples[index];
  struct wr_registry *r = &b->workers[0].registry;
  const struct wr_kind_ops *ops = r->kinds[s->kind];
  char *config = wr_alloc(ops->config_size);
  memset(config, 0, ops->config_size);
  s->configure(config);
  for (int i = 0; i < BENCH_ENTRIES; i++) {
    char name[WR_ENTRY_NAME_MAX];
    struct wr_error error;
    int len = snprintf(name, sizeof(name), "%s %d", s->name, i);
    struct wr_str text = {name, (size_t)len};
    b->entries[index][i] = wr_registry_declare(r, s->kind, text, config, WR_SECOND, &error);
    WR_CHECK(b->entries[index][i]);
    if (s->kind == WR_KIND_CACHE) fill_cache(b, b->entries[index][i]);
  }
  size_t size = ops->state_bytes ? ops->state_bytes(config) : ops->state_size;
  b->pure[index] = wr_alloc(size);
  memset(b->pure[index], 0, size);
  ops->init(b->pure[index], config, 1, WR_SECOND);
  print(s->name, "state", (double)size, "bytes");
  print(s->name, "settings", 2.0 * (double)ops->config_size, "bytes");
  wr_free(config);
}

static void init(struct bench *b, double for_ns)
{
  struct wr_error error;
  struct wr_arena_options options = {.worker_count = BENCH_WORKERS, .seed = 1};
  b->for_ns = for_ns;
  WR_CHECK(wr_arena_open(&b->arena, &options, &error));
  for (uint32_t i = 0; i < BENCH_WORKERS; i++) {
    struct bench_worker *me = &b->workers[i];
    wr_guard_registry(&me->registry, &b->arena);
    wr_guard_init(&me->guard, &me->registry, i, (struct wr_guard_callbacks){0});
    wr_buf_init(&me->out, 4096);
    me->now_ns = WR_SECOND;
  }
  for (uint32_t i = 0; bench_samples[i].name; i++) add_sample(b, i);
  print("a name in the registry", "state", sizeof(struct wr_entry), "bytes");
  print("a live call", "state", sizeof(struct wr_row), "bytes");
}

// One worker. The first calls are not counted: they touch memory for the first time, a page for each
// key, and where a page costs 25 us nothing else would be seen.

static double cost_of_pure(struct bench *b, const struct bench_operation *op)
{
  uint64_t now_ns = b->workers[0].now_ns;
  uint64_t count = 0;
  for (int i = 0; i < WARM; i++) op->pure(b->pure[op->sample], now_ns += STEP_NS);
  double start = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
  double end;
  do {
    for (int i = 0; i < BATCH; i++) op->pure(b->pure[op->sample], now_ns += STEP_NS);
    count += BATCH;
    end = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
  } while (end - start < b->for_ns);
  b->workers[0].now_ns = now_ns;
  return (end - start) / (double)count;
}

// Operations per nanosecond of `id`.
static double rate(struct bench *b, uint32_t worker, const struct bench_operation *op,
                   struct wr_entry *entry, clockid_t id)
{
  struct bench_worker *me = &b->workers[worker];
  uint64_t count = 0;
  for (int i = 0; i < WARM; i++) {
    me->now_ns += STEP_NS;
    op->guarded(me, entry);
  }
  double start = clock_ns(id);
  double end;
  do {
    for (int i = 0; i < BATCH; i++) {
      me->now_ns += STEP_NS;
      op->guarded(me, entry);
    }
    count += BATCH;
    end = clock_ns(id);
  } while (end - start < b->for_ns);
  return (double)count / (end - start);
}

// Two workers

struct party {
  struct bench *bench;
  const struct bench_operation *op;
  struct wr_entry *entry;
  uint32_t worker;
  _Atomic uint32_t *arrived;
  double *rate;
};

static void *attend(void *arg)
{
  struct party *p = arg;
  atomic_fetch_add(p->arrived, 1);
  while (atomic_load(p->arrived) < BENCH_WORKERS) {
  }
  *p->rate = rate(p->bench, p->worker, p->op, p->entry, CLOCK_MONOTONIC);
  return NULL;
}

// Both keep the clock of the faster one: their times may differ by what passes while they meet.
static void level(struct bench *b)
{
  uint64_t now_ns = b->workers[0].now_ns;
  if (b->workers[1].now_ns > now_ns) now_ns = b->workers[1].now_ns;
  for (int i = 0; i < BENCH_WORKERS; i++) b->workers[i].now_ns = now_ns;
}

static void meet_as_threads(struct party *parties)
{
  pthread_t other;
  WR_CHECK(pthread_create(&other, NULL, attend, &parties[1]) == 0);
  attend(&parties[0]);
  pthread_join(other, NULL);
}

static void meet_as_processes(struct party *parties)
{
  fflush(stdout);
  pid_t pid = fork();
  WR_CHECK(pid >= 0);
  if (pid == 0) {
    attend(&parties[1]);
    _exit(0);
  }
  attend(&parties[0]);
  int status;
  WR_CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

struct meeting {
  _Atomic uint32_t arrived;
  double rates[BENCH_WORKERS];
};

static void measure_two(struct bench *b, const struct bench_operation *op, const char *how,
                        bool is_apart, void (*meet)(struct party *))
{
  size_t size = sizeof(struct meeting);
  struct meeting *m = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  WR_CHECK(m != MAP_FAILED);
  struct party parties[BENCH_WORKERS];
  level(b);
  for (uint32_t i = 0; i < BENCH_WORKERS; i++) {
    parties[i] = (struct party){
        .bench = b,
        .op = op,
        .entry = b->entries[op->sample][is_apart ? i : 0],
        .worker = i,
        .arrived = &m->arrived,
        .rate = &m->rates[i],
    };
  }
  meet(parties);
  print(op->name, how, 1 / (m->rates[0] + m->rates[1]), "ns");
  munmap(m, size);
}

static void measure(struct bench *b, const struct bench_operation *op)
{
  struct wr_entry *entry = b->entries[op->sample][0];
  if (op->pure) print(op->name, "c", cost_of_pure(b, op), "ns");
  double per_cpu_ns = rate(b, 0, op, entry, CLOCK_PROCESS_CPUTIME_ID);
  print(op->name, "guard", 1 / per_cpu_ns, "ns");
  if (!op->is_shared) return;
  print(op->name, "alone", 1 / rate(b, 0, op, entry, CLOCK_MONOTONIC), "ns");
  measure_two(b, op, "2 threads", false, meet_as_threads);
  measure_two(b, op, "2 processes", false, meet_as_processes);
  measure_two(b, op, "apart", true, meet_as_processes);
}

int main(int argc, char **argv)
{
  static struct bench b;
  init(&b, (argc > 1 ? strtod(argv[1], NULL) : 20) * 1e6);
  for (const struct bench_operation *op = bench_operations; op->name; op++) {
    if (strstr(op->name, argc > 2 ? argv[2] : "")) measure(&b, op);
  }
  return 0;
}
