#pragma once
/// Numbers as decimal digits, where printf would cost more than all the rest.

#include <stddef.h>
#include <stdint.h>

enum { WR_DECIMAL_SIZE = 21 }; ///< the longest, with its NUL

/// Writes `n` and a NUL to `out`, which has WR_DECIMAL_SIZE bytes; returns the number of digits.
size_t wr_decimal_write(char *out, uint64_t n);
