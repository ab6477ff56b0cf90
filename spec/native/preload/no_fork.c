// Preloaded into a program: it can start no process, as on a machine that has too many. What it
// starts by execve can again.

#include <errno.h>
#include <stdlib.h>
#include <sys/types.h>

pid_t fork(void);

__attribute__((constructor)) static void forget(void)
{
  unsetenv("LD_PRELOAD");
}

pid_t fork(void)
{
  errno = EAGAIN;
  return -1;
}
