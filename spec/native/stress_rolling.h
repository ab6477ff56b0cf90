#pragma once
/// Counts over a time: the sums are those of the slots.

#include "base/check.h"
#include "resilience/rolling.h"

static inline void stress_rolling_check(const struct wr_rolling *rolling)
{
  for (int c = 0; c < WR_ROLLING_COLUMNS; c++) {
    uint64_t sum = 0;
    for (int s = 0; s < WR_ROLLING_SLOTS; s++) sum += rolling->slot[s][c];
    WR_CHECK(sum == rolling->sum[c]);
  }
}
