#pragma once
/// Which bytes of a string stand in JSON text as they are, without a closer look: ASCII from the
/// space on, without quote, backslash and DEL. All others are escaped, or may be (RFC 8259 section
/// 7, and DEL, which terminals obey), or are parts of UTF-8. Pure, any thread.

#include <stdbool.h>
#include <stdint.h>

/// Of one byte.
static inline bool wr_json_is_plain(unsigned char c)
{
  return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/// Of eight at a time: 0 when all of them are plain. A byte is zero where (x - 1) & ~x has its
/// highest bit, or where one below it borrowed, which is not plain then.
static inline uint64_t wr_json_special(uint64_t v)
{
  const uint64_t ones = UINT64_C(0x0101010101010101);
  uint64_t quotes = v ^ ones * '"';
  uint64_t slashes = v ^ ones * '\\';
  uint64_t deletes = v ^ ones * 0x7f;
  uint64_t found = (v - ones * 0x20) & ~v;
  found |= ((quotes - ones) & ~quotes) | ((slashes - ones) & ~slashes);
  found |= ((deletes - ones) & ~deletes) | v;
  return found & ones * 0x80;
}
