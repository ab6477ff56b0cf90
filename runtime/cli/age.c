#include "cli/age.h"

const char *wr_age_text(const json_t *value, char out[WR_AGE_SIZE])
{
  double number = json_is_number(value) ? json_number_value(value) : -1;
  if (number < 0 || number > 1e12) return "-";
  unsigned long long s = (unsigned long long)number;
  if (s < 60) {
    snprintf(out, WR_AGE_SIZE, "%llus", s);
  } else if (s < 3600) {
    snprintf(out, WR_AGE_SIZE, "%llum %llus", s / 60, s % 60);
  } else if (s < 86400) {
    snprintf(out, WR_AGE_SIZE, "%lluh %llum", s / 3600, s % 3600 / 60);
  } else {
    snprintf(out, WR_AGE_SIZE, "%llud %lluh", s / 86400, s % 86400 / 3600);
  }
  return out;
}
