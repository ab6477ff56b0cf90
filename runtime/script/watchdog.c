#include "script/watchdog.h"

#include "arena/slot.h"
#include "loop/loop.h"
#include "script/task.h"
#include "script/trail.h"

#include <errno.h>
#include <string.h>

#define CALIBRATION_NS (200 * UINT64_C(1000))

// The counter runs on while the process waits for a processor: of `cycles` it had what its CPU time
// allows.
static uint64_t had(const struct wr_watchdog *w, uint64_t cycles, uint64_t cpu_ns)
{
  uint64_t most = cpu_ns * w->tick / WR_WATCHDOG_TICK_NS;
  return cycles < most ? cycles : most;
}

// In the signal handler, between any two instructions of the task. Who computes without end is
// found by every tick of the kernel, so it began no earlier than one before the first that found it
// (the last of ours may be long ago: none comes to a process that sleeps when the kernel looks).
static void look(struct wr_watchdog *w, struct wr_task *t, uint64_t now, uint64_t last)
{
  struct wr_vm *vm = &t->script->vm;
  uint64_t since = now - last < WR_WATCHDOG_TICK_NS ? last : now - WR_WATCHDOG_TICK_NS;
  if (w->ticks++ == 0) {
    w->from_ns = since;
    wr_slot_beat(w->slot, wr_loop_clock()); // another than at the tick before
  }
  if (now - w->from_ns >= WR_WATCHDOG_BURST_NS) wr_vm_interrupt(vm, WR_VM_STOP_TIME);
  if (t->trail == NULL) return; // in the background: burst after burst, for as long as it likes
  uint64_t spent = t->trail->lua_cycles + had(w, wr_cycles() - w->began, now - w->from_ns);
  if (wr_watchdog_is_spent(w, spent)) wr_vm_interrupt(vm, WR_VM_STOP_BUDGET);
}

static void on_tick(int signal, siginfo_t *info, void *context)
{
  (void)signal;
  (void)context;
  struct wr_watchdog *w = info->si_value.sival_ptr;
  if (info->si_code != SI_TIMER || w == NULL) return;
  int saved = errno;
  uint64_t now = wr_loop_processor();
  uint64_t last = w->last_ns;
  w->last_ns = now;
  if (w->task != NULL) look(w, w->task, now, last);
  errno = saved;
}

static void calibrate(struct wr_watchdog *w)
{
  uint64_t began_ns = wr_loop_clock();
  uint64_t began = wr_cycles();
  uint64_t took_ns;
  do {
    took_ns = wr_loop_clock() - began_ns;
  } while (took_ns < CALIBRATION_NS);
  uint64_t cycles = wr_cycles() - began;
  w->budget = WR_WATCHDOG_BUDGET_NS / took_ns * cycles;
  w->tick = w->budget / (WR_WATCHDOG_BUDGET_NS / WR_WATCHDOG_TICK_NS);
}

bool wr_watchdog_start(struct wr_watchdog *w, struct wr_slot *slot, struct wr_error *error)
{
  struct sigaction action = {.sa_sigaction = on_tick, .sa_flags = SA_SIGINFO | SA_RESTART};
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGVTALRM};
  struct itimerspec every = {{0, WR_WATCHDOG_TICK_NS}, {0, WR_WATCHDOG_TICK_NS}};
  event.sigev_value.sival_ptr = w;
  sigemptyset(&action.sa_mask);
  w->slot = slot;
  calibrate(w);
  w->last_ns = wr_loop_processor();
  bool ok = sigaction(SIGVTALRM, &action, NULL) == 0 &&
            timer_create(CLOCK_PROCESS_CPUTIME_ID, &event, &w->timer) == 0;
  w->is_started = ok;
  if (ok) ok = timer_settime(w->timer, 0, &every, NULL) == 0;
  if (!ok) wr_error_set(error, WR_ERROR_CLOSED, "no watchdog timer: %s", strerror(errno));
  return ok;
}

void wr_watchdog_stop(struct wr_watchdog *w)
{
  if (!w->is_started) return;
  w->is_started = false;
  timer_delete(w->timer);
  // One that is under way already must not end the process.
  signal(SIGVTALRM, SIG_IGN);
}

void wr_watchdog_correct(struct wr_watchdog *w)
{
  uint64_t since = w->ticks > 0 ? w->from_ns : w->last_ns; // not after this run began
  w->spent = had(w, w->spent, wr_loop_processor() - since);
}

uint64_t wr_watchdog_burst(const struct wr_watchdog *w)
{
  return w == NULL ? 0 : wr_watchdog_ns(w, w->spent);
}

uint64_t wr_watchdog_ns(const struct wr_watchdog *w, uint64_t cycles)
{
  if (w == NULL || w->tick == 0) return 0;
  return (uint64_t)((double)cycles * (double)WR_WATCHDOG_TICK_NS / (double)w->tick);
}
