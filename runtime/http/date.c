#include "http/date.h"

#include "base/check.h"

#include <time.h>

void wr_date_write(char out[WR_DATE_LEN + 1], int64_t unix_seconds)
{
  time_t seconds = (time_t)unix_seconds;
  struct tm parts;
  gmtime_r(&seconds, &parts);
  size_t len = strftime(out, WR_DATE_LEN + 1, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  WR_CHECK(len == WR_DATE_LEN);
}
