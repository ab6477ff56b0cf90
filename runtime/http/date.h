#pragma once
/// HTTP-dates as they are written (RFC 9110 5.6.7); resilience/retry_after.h reads them. Pure.

#include <stdint.h>

enum { WR_DATE_LEN = 29 };

/// A Unix time as text, NUL-terminated.
void wr_date_write(char out[WR_DATE_LEN + 1], int64_t unix_seconds);
