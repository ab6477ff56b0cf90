#pragma once
/// UTF-8 as it may be sent on (RFC 3629). Pure.

#include "base/str.h"

/// What stands for a byte that is none of it: U+FFFD.
#define WR_UTF8_REPLACEMENT WR_STR("\xef\xbf\xbd")

/// Length of the well-formed sequence at `p`, of `left` > 0 bytes; 0 when there is none.
size_t wr_utf8_length(const unsigned char *p, size_t left);

/// Bytes of `s` up to the first that is not UTF-8.
size_t wr_utf8_valid(struct wr_str s);
