#include "base/utf8.h"

size_t wr_utf8_length(const unsigned char *p, size_t left)
{
  if (p[0] < 0x80) return 1;
  size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
  if (p[0] < 0xc2 || p[0] > 0xf4 || len > left) return 0;
  for (size_t i = 1; i < len; i++) {
    if ((p[i] & 0xc0) != 0x80) return 0;
  }
  bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
  bool outside = (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf4 && p[1] > 0x8f);
  return overlong || outside ? 0 : len;
}

size_t wr_utf8_valid(struct wr_str s)
{
  size_t at = 0;
  while (at < s.len) {
    size_t len = wr_utf8_length((const unsigned char *)s.ptr + at, s.len - at);
    if (len == 0) break;
    at += len;
  }
  return at;
}
