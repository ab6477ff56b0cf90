#include "base/decimal.h"

#include <string.h>

size_t wr_decimal_write(char *out, uint64_t n)
{
  char digits[WR_DECIMAL_SIZE];
  size_t at = sizeof(digits);
  digits[--at] = '\0';
  do {
    digits[--at] = (char)('0' + n % 10);
    n /= 10;
  } while (n > 0);
  memcpy(out, digits + at, sizeof(digits) - at);
  return sizeof(digits) - at - 1;
}
