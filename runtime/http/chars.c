#include "http/chars.h"

#include <endian.h>
#include <string.h>

// clang-format off
const uint8_t wr_chars_table[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0,         // NUL .. HTAB LF .. CR ..
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    2, 7, 6, 3, 7, 7, 7, 7, 6, 6, 7, 7, 6, 15, 15, 6,       // SP ! " # $ % & ' ( ) * + , - . /
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 6, 6, 6, 6, 6, 6, // 0-9 : ; < = > ?
    6, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, // @ A-O
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 6, 6, 6, 7, 15, // P-Z [ \ ] ^ _
    7, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, // ` a-o
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 6, 7, 6, 15, 0, // p-z { | } ~ DEL
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,         // obs-text
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
};
// clang-format on

const char *wr_chars_skip(const char *at, const char *end, enum wr_chars_class class)
{
  while (at < end && wr_chars_is(*at, class)) at++;
  return at;
}

// The high bit of each of eight bytes that is below 0x20 or equal to 0x7F. It may be set for a byte
// above such a byte as well, for borrows travel upwards only: the lowest is always right.
static uint64_t controls_of(uint64_t word)
{
  const uint64_t ones = ~(uint64_t)0 / 255;
  const uint64_t high = ones * 0x80;
  uint64_t below_space = (word - ones * 0x20) & ~word;
  uint64_t delete = word ^ (ones * 0x7F);
  uint64_t is_delete = (delete - ones) & ~delete;
  return (below_space | is_delete) & high;
}

const char *wr_chars_skip_field(const char *at, const char *end)
{
  while (end - at >= 8) {
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    uint64_t controls = controls_of(le64toh(word));
    if (controls == 0) {
      at += 8;
      continue;
    }
    at += __builtin_ctzll(controls) / 8;
    if (*at != '\t') return at;
    at++;
  }
  return wr_chars_skip(at, end, WR_CHARS_FIELD);
}
