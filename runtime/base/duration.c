#include "base/duration.h"

#include "base/check.h"

#include <stdio.h>

struct unit {
  const char *name;
  uint64_t ns;
};

// Largest first: wr_duration_text takes the first that fits.
static const struct unit units[] = {
    {"d", 86400 * WR_SECOND},
    {"h", 3600 * WR_SECOND},
    {"m", 60 * WR_SECOND},
    {"s", WR_SECOND},
    {"ms", WR_MS},
    {"us", 1000},
    {"ns", 1},
};

// Reads digits with an optional fraction; returns the bytes consumed, 0 when there is no number.
static size_t read_number(struct wr_str text, double *out)
{
  double value = 0;
  double scale = 0;
  size_t digits = 0;
  size_t at = 0;
  for (; at < text.len; at++) {
    char c = text.ptr[at];
    if (c == '.' && scale == 0 && digits > 0) {
      scale = 1;
    } else if (c >= '0' && c <= '9') {
      value = value * 10 + (c - '0');
      scale *= 10;
      digits++;
    } else {
      break;
    }
  }
  if (digits == 0 || digits > 15 || text.ptr[at - 1] == '.') return 0;
  *out = scale > 0 ? value / scale : value;
  return at;
}

bool wr_duration_parse(struct wr_str text, uint64_t *ns)
{
  double value = 0;
  size_t used = read_number(text, &value);
  if (used == 0) return false;
  struct wr_str rest = {text.ptr + used, text.len - used};
  for (size_t i = 0; i < WR_COUNT(units); i++) {
    if (!wr_str_eq(rest, wr_str_of(units[i].name))) continue;
    return wr_duration_seconds(value * (double)units[i].ns / (double)WR_SECOND, ns);
  }
  return false;
}

bool wr_duration_seconds(double seconds, uint64_t *ns)
{
  if (!(seconds >= 0) || seconds > (double)WR_DURATION_MAX / (double)WR_SECOND) return false;
  *ns = (uint64_t)(seconds * (double)WR_SECOND + 0.5);
  return true;
}

const char *wr_duration_text(uint64_t ns, char out[WR_DURATION_TEXT])
{
  if (ns == 0) return memcpy(out, "0s", sizeof("0s"));
  for (size_t i = 0; i < WR_COUNT(units); i++) {
    if (ns < units[i].ns) continue;
    snprintf(out, WR_DURATION_TEXT, "%.4g%s", (double)ns / (double)units[i].ns, units[i].name);
    break;
  }
  return out;
}
