#include "observe/pressure.h"

#include "arena/slot.h"
#include "script/meter.h"

#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

// --- workers ------------------------------------------------------------------------------------

static struct wr_overload_signals read_signals(const struct wr_arena *a, uint64_t lag_ns)
{
  uint32_t master = wr_slot_master(a);
  struct wr_slot *own = wr_slot_of(a, master);
  struct wr_overload_signals signals = {
      .lag_ns = lag_ns,
      .memory_bytes = atomic_load_explicit(&own->memory_bytes, memory_order_relaxed),
      .memory_limit = atomic_load_explicit(&own->memory_limit, memory_order_relaxed),
  };
  for (uint32_t i = 0; i < master; i++) {
    struct wr_slot *slot = wr_slot_of(a, i);
    signals.in_flight += atomic_load_explicit(&slot->in_flight, memory_order_relaxed);
  }
  return signals;
}

void wr_pressure_sample(struct wr_script_env *env, struct wr_serve *serve, uint64_t lag_ns)
{
  struct wr_slot *slot = wr_slot_of(env->arena, env->shard);
  atomic_store_explicit(&slot->lag_ns, lag_ns, memory_order_relaxed);
  env->signals = read_signals(env->arena, lag_ns);
  wr_serve_feed(serve);
  double level = serve->overload.level;
  atomic_store_explicit(&slot->shed_permille, (uint32_t)(level * 1000), memory_order_relaxed);
  bool is_shadow = serve->live && serve->live->script->declared.overload_shadow;
  atomic_store_explicit(&slot->shed_shadow, is_shadow, memory_order_relaxed);
  wr_series_set(env->arena, env->shard, wr_meter_series(env->meter, WR_METRIC_OVERLOAD_LEVEL, NULL),
                level);
}

// --- the master ---------------------------------------------------------------------------------

static uint64_t page_size(void)
{
  return (uint64_t)sysconf(_SC_PAGESIZE);
}

// Resident and shared pages of a process, in bytes; zeros when it is gone.
static void read_memory(pid_t pid, uint64_t *resident, uint64_t *shared)
{
  char path[64];
  unsigned long long pages[2] = {0, 0};
  snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
  FILE *file = fopen(path, "re");
  if (file && fscanf(file, "%*u %llu %llu", &pages[0], &pages[1]) != 2) pages[0] = pages[1] = 0;
  if (file) fclose(file);
  *resident = pages[0] * page_size();
  *shared = pages[1] * page_size();
}

static uint64_t read_number(const char *path)
{
  unsigned long long value = 0;
  FILE *file = fopen(path, "re");
  if (file == NULL) return 0;
  if (fscanf(file, "%llu", &value) != 1) value = 0; // "max"
  fclose(file);
  return value;
}

// The machine's memory, or less where a control group of ours says so.
static uint64_t limit_of_memory(void)
{
  static const char *const files[] = {"/sys/fs/cgroup/memory.max",
                                      "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
  uint64_t limit = (uint64_t)sysconf(_SC_PHYS_PAGES) * page_size();
  for (size_t i = 0; i < WR_COUNT(files); i++) {
    uint64_t own = read_number(files[i]);
    if (own > 0 && own < limit) limit = own;
  }
  return limit;
}

void wr_pressure_measure(struct wr_arena *a, const pid_t *pids, size_t count)
{
  uint64_t total;
  uint64_t shared;
  read_memory(getpid(), &total, &shared);
  for (size_t i = 0; i < count; i++) {
    uint64_t resident = 0;
    if (pids[i] > 0) read_memory(pids[i], &resident, &shared);
    if (resident > shared) total += resident - shared;
  }
  struct wr_slot *slot = wr_slot_of(a, wr_slot_master(a));
  atomic_store_explicit(&slot->memory_bytes, total, memory_order_relaxed);
  atomic_store_explicit(&slot->memory_limit, limit_of_memory(), memory_order_relaxed);
}
