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

// `text` is like `form`, with any digits in place of zeros.
static bool is_like(struct wr_str text, struct wr_str form)
{
  if (text.len != form.len) return false;
  for (size_t i = 0; i < form.len; i++) {
    char c = text.ptr[i];
    if (form.ptr[i] == '0' ? c < '0' || c > '9' : c != form.ptr[i]) return false;
  }
  return true;
}

static int digits(const char *at, int count)
{
  int value = 0;
  for (int i = 0; i < count; i++) value = value * 10 + (at[i] - '0');
  return value;
}

bool wr_stamp_read(struct wr_str text, uint64_t *wall_ns)
{
  if (!is_like(text, WR_STR("0000-00-00T00:00:00.000Z"))) return false;
  const char *at = text.ptr;
  struct tm parts = {.tm_year = digits(at, 4) - 1900,
                     .tm_mon = digits(at + 5, 2) - 1,
                     .tm_mday = digits(at + 8, 2),
                     .tm_hour = digits(at + 11, 2),
                     .tm_min = digits(at + 14, 2),
                     .tm_sec = digits(at + 17, 2)};
  time_t seconds = timegm(&parts);
  if (seconds < 0) return false;
  *wall_ns = (uint64_t)seconds * 1000000000u + (uint64_t)digits(at + 20, 3) * 1000000u;
  return true;
}
