#include "heartbeat.h"

#include "fleet.h"
#include "observe/usage.h"
#include "strike.h"

#include <signal.h>

#define WAIT_NS (100 * WR_MS) // between two looks while we wait for a lock

#define MOST 0.75

enum { STARVED_TIMES = 5 }; // heartbeats that a worker without a processor is waited for

// Late, but not at fault: it waits for a processor, on a machine that has too much to do. What had
// one for most of the time since it was first seen silent, or of the limit, and still did not turn
// is stuck. Not for ever, though.
static bool is_starved(struct wr_master *m, struct wr_master_worker *w, uint64_t silent_ns)
{
  double cpu_s = 0;
  uint64_t limit_ns = m->settings->heartbeat_ns;
  bool is_runnable = wr_usage_state(w->pid, &cpu_s) == 'R';
  if (w->late_cpu_s < 0) {
    w->late_cpu_s = cpu_s;
    w->late_silent_ns = silent_ns;
  }
  if (!is_runnable || silent_ns >= STARVED_TIMES * limit_ns) return false;
  uint64_t since_ns = silent_ns - w->late_silent_ns;
  if (since_ns < limit_ns / 2) since_ns = limit_ns / 2;
  if (since_ns > limit_ns) since_ns = limit_ns;
  return cpu_s - w->late_cpu_s < (double)since_ns / 1e9 * MOST;
}

static void log_stuck(struct wr_master_worker *w, uint64_t silent_ns)
{
  struct wr_json *j = wr_log_begin(&w->master->log, WR_LOG_ERROR, "worker.stuck");
  if (j == NULL) return;
  wr_json_field_uint(j, "slot", w->slot);
  wr_json_field_uint(j, "pid", (uint64_t)w->pid);
  wr_json_field_uint(j, "silent_ms", silent_ns / WR_MS);
  wr_strike_describe(w, j);
  wr_log_end(&w->master->log);
}

static void abort_worker(struct wr_master_worker *w, uint64_t silent_ns)
{
  double cpu_s;
  // A stopped process takes no signal but SIGKILL.
  bool is_deaf = w->is_aborted || wr_usage_state(w->pid, &cpu_s) == 'T';
  if (!w->is_aborted) log_stuck(w, silent_ns);
  w->is_aborted = true;
  kill(w->pid, is_deaf ? SIGKILL : SIGABRT);
}

// One that is silent for half of its time is looked at, and once more when that is over. When to
// come back for that; UINT64_MAX when the next tick will do.
static uint64_t check_heartbeat(struct wr_master *m, struct wr_master_worker *w, uint64_t now)
{
  struct wr_slot *slot = wr_slot_of(&m->arena, w->slot);
  uint64_t limit = m->settings->heartbeat_ns;
  uint64_t beat = atomic_load_explicit(&slot->heartbeat_ns, memory_order_relaxed);
  if (beat < w->forked_ns) beat = w->forked_ns;
  if (now < beat || now - beat < limit / 2) {
    w->late_cpu_s = -1;
    return UINT64_MAX;
  }
  bool is_starving = is_starved(m, w, now - beat);
  if (now - beat < limit) return beat + limit;
  if (w->is_aborted || !is_starving) abort_worker(w, now - beat);
  return UINT64_MAX;
}

// We wait for a lock, and so may all workers: nothing goes on before its holder does, or dies.
uint64_t wr_heartbeat_on_wait(void *ctx, uint32_t holder)
{
  struct wr_master *m = ctx;
  uint64_t now = wr_loop_clock();
  uint32_t at = 0;
  for (struct wr_master_worker *w; holder != 0 && (w = wr_fleet_each(m, &at)) != NULL;) {
    if (w->pid == (pid_t)holder) (void)check_heartbeat(m, w, now);
  }
  return now + WAIT_NS;
}

// A worker whose loop does not turn is replaced. When to look again, or UINT64_MAX. Our own
// lateness is not held against it.
uint64_t wr_heartbeat_check(struct wr_master *m, uint64_t now)
{
  uint64_t next = UINT64_MAX;
  for (uint32_t i = 0; i < m->settings->workers; i++) {
    struct wr_master_worker *w = &m->workers[i];
    uint64_t beat =
        atomic_load_explicit(&wr_slot_of(&m->arena, w->slot)->heartbeat_ns, memory_order_relaxed);
    if (w->pid <= 0 || w->live == 0 || beat < w->forked_ns) continue;
    uint64_t due = check_heartbeat(m, w, now);
    if (due < next) next = due;
  }
  return next;
}
