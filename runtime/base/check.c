#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void wr_check_failed(const char *expr, const char *file, int line)
{
  char text[512];
  int len = snprintf(text, sizeof(text), "weir[%d]: check failed: %s (%s:%d)\n", (int)getpid(),
                     expr, file, line);
  if (len > (int)sizeof(text)) len = (int)sizeof(text);
  if (len > 0 && write(STDERR_FILENO, text, (size_t)len) < 0) abort();
  abort();
}
