// Preloaded into a program: it can start no process, as on a machine that has too many; or, with a
// signal's number in SPEC_CRASH, it crashes instead, at fork number SPEC_CRASH_AT. With that of
// SIGALRM it hangs, and the alarm that it has set comes at once; without one it ends. What it
// starts by execve can again.

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

pid_t fork(void);

static int left;
static int crash;

static int number(const char *name)
{
  const char *text = getenv(name);
  int value = text ? atoi(text) : 0;
  unsetenv(name);
  return value;
}

__attribute__((constructor)) static void forget(void)
{
  unsetenv("LD_PRELOAD");
  crash = number("SPEC_CRASH");
  left = number("SPEC_CRASH_AT");
}

static void hang(void)
{
  if (alarm(1) == 0) _exit(99);
  for (;;) pause();
}

pid_t fork(void)
{
  if (crash != 0 && --left > 0) return (pid_t)syscall(SYS_fork);
  if (crash == SIGALRM) hang();
  if (crash != 0) raise(crash);
  errno = EAGAIN;
  return -1;
}
