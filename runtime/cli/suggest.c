#include "cli/suggest.h"

#include <string.h>

static size_t least(size_t a, size_t b)
{
  return a < b ? a : b;
}

size_t wr_suggest_distance(const char *a, const char *b)
{
  size_t rows = strlen(a);
  size_t columns = strlen(b);
  if (rows > WR_SUGGEST_LEN_MAX || columns > WR_SUGGEST_LEN_MAX) return WR_SUGGEST_LEN_MAX + 1;
  // d[i][j]: from the first i characters of a to the first j of b
  size_t d[WR_SUGGEST_LEN_MAX + 1][WR_SUGGEST_LEN_MAX + 1];
  for (size_t i = 0; i <= rows; i++) d[i][0] = i;
  for (size_t j = 0; j <= columns; j++) d[0][j] = j;
  for (size_t i = 1; i <= rows; i++) {
    for (size_t j = 1; j <= columns; j++) {
      size_t replaced = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
      d[i][j] = least(replaced, least(d[i - 1][j], d[i][j - 1]) + 1);
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[rows][columns];
}

const char *wr_suggest_of(const char *typed, const char *const *words, size_t count)
{
  const char *best = NULL;
  size_t best_distance = WR_SUGGEST_LEN_MAX + 1;
  for (size_t i = 0; i < count; i++) {
    size_t distance = wr_suggest_distance(typed, words[i]);
    size_t allowed = strlen(words[i]) / 3;
    if (distance > (allowed > 0 ? allowed : 1) || distance >= best_distance) continue;
    best = words[i];
    best_distance = distance;
  }
  return best;
}
