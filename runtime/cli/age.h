#pragma once
/// How long something has been so, for people.

#include <jansson.h>

enum { WR_AGE_SIZE = 32 };

/// "4s", "3m 4s", "3h 12m", "2d 5h", in `out` or static; "-" when `value` is no number of seconds.
const char *wr_age_text(const json_t *value, char out[WR_AGE_SIZE]);
