#include "base/stamp.h"

#include <stdio.h>
#include <time.h>

const char *wr_stamp_text(uint64_t wall_ns, char out[WR_STAMP_TEXT])
{
  time_t seconds = (time_t)(wall_ns / 1000000000u);
  struct tm parts;
  char day[32];
  gmtime_r(&seconds, &parts);
  strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &parts);
  snprintf(out, WR_STAMP_TEXT, "%s.%03uZ", day, (unsigned)(wall_ns / 1000000u % 1000u));
  return out;
}
