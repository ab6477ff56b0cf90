#include "script/watchdog.h"

#include "script/vm.h"

#include <errno.h>
#include <string.h>

// The first tick comes at any time after the entry: one more is counted than the limit holds.
static void on_tick(int signal, siginfo_t *info, void *context)
{
  (void)signal;
  (void)context;
  struct wr_watchdog *w = info->si_value.sival_ptr;
  if (info->si_code != SI_TIMER || w == NULL || w->vm == NULL) return;
  w->ticks = w->ticks + 1;
  if (w->ticks > WR_WATCHDOG_BURST_TICKS) wr_vm_interrupt(w->vm, WR_VM_STOP_TIME);
}

bool wr_watchdog_start(struct wr_watchdog *w, struct wr_error *error)
{
  struct sigaction action = {.sa_sigaction = on_tick, .sa_flags = SA_SIGINFO | SA_RESTART};
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGVTALRM};
  struct itimerspec every = {{0, WR_WATCHDOG_TICK_NS}, {0, WR_WATCHDOG_TICK_NS}};
  event.sigev_value.sival_ptr = w;
  sigemptyset(&action.sa_mask);
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
