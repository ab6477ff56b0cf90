#pragma once
/// Character classes of HTTP and URI grammar: one table, one look-up per byte. Pure; any thread.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wr_chars_class {
  WR_CHARS_TOKEN = 1,      ///< tchar (RFC 9110 5.6.2)
  WR_CHARS_FIELD = 2,      ///< in a field value: HTAB, SP, VCHAR, obs-text (RFC 9110 5.5)
  WR_CHARS_TARGET = 4,     ///< in a request target: VCHAR but "#"
  WR_CHARS_UNRESERVED = 8, ///< RFC 3986 2.3
};

/// The classes of each byte, or-ed.
extern const uint8_t wr_chars_table[256];

static inline bool wr_chars_is(char c, enum wr_chars_class class)
{
  return (wr_chars_table[(uint8_t)c] & class) != 0;
}

/// Value of a hexadecimal digit, or -1.
static inline int wr_chars_hex(char c)
{
  if (c >= '0' && c <= '9') return c - '0';
  char lower = (char)(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/// First byte in [at, end) that is not of the class, or `end`.
const char *wr_chars_skip(const char *at, const char *end, enum wr_chars_class class);

/// The same for WR_CHARS_FIELD, eight bytes at a time: most bytes of a head are in values.
const char *wr_chars_skip_field(const char *at, const char *end);
