#pragma once
/// A slice: pointer and length, borrowed, not NUL-terminated. `{NULL, 0}` means absent.

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct wr_str {
  const char *ptr;
  size_t len;
};

/// A slice over a string literal.
#define WR_STR(literal) ((struct wr_str){(literal), sizeof(literal) - 1})

/// For `%.*s`.
#define WR_STR_ARG(s) (int)(s).len, (s).ptr

/// A slice over a NUL-terminated string; NULL gives the absent slice.
static inline struct wr_str wr_str_of(const char *text)
{
  return (struct wr_str){text, text ? strlen(text) : 0};
}

/// Copies `s` to `to`, which has room, and returns the end of it. Short ones, which most are,
/// without a call: two copies of one size that overlap.
static inline char *wr_str_put(char *to, struct wr_str s)
{
  if (s.len > 16) {
    memcpy(to, s.ptr, s.len);
  } else if (s.len >= 8) {
    memcpy(to, s.ptr, 8);
    memcpy(to + s.len - 8, s.ptr + s.len - 8, 8);
  } else if (s.len >= 4) {
    memcpy(to, s.ptr, 4);
    memcpy(to + s.len - 4, s.ptr + s.len - 4, 4);
  } else {
    for (size_t i = 0; i < s.len; i++) to[i] = s.ptr[i];
  }
  return to + s.len;
}

/// Byte equality.
static inline bool wr_str_eq(struct wr_str a, struct wr_str b)
{
  return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/// ASCII lower case of one byte.
static inline char wr_str_lower(char c)
{
  return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/// Equality that ignores ASCII case only (header names, hosts).
static inline bool wr_str_eq_nocase(struct wr_str a, struct wr_str b)
{
  if (a.len != b.len) return false;
  for (size_t i = 0; i < a.len; i++) {
    if (wr_str_lower(a.ptr[i]) != wr_str_lower(b.ptr[i])) return false;
  }
  return true;
}

/// Without leading and trailing spaces and tabs (HTTP's optional white space).
static inline struct wr_str wr_str_trim(struct wr_str s)
{
  while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) s.ptr++, s.len--;
  while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t')) s.len--;
  return s;
}

/// Cuts the part before the first `sep` off `*rest` and returns it; `*rest` becomes absent at the
/// end.
static inline struct wr_str wr_str_split(struct wr_str *rest, char sep)
{
  struct wr_str head = *rest;
  const char *at = rest->len ? memchr(rest->ptr, sep, rest->len) : NULL;
  if (at == NULL) {
    *rest = (struct wr_str){NULL, 0};
    return head;
  }
  head.len = (size_t)(at - rest->ptr);
  rest->ptr += head.len + 1;
  rest->len -= head.len + 1;
  return head;
}

/// Does `s` begin with all of `start`?
static inline bool wr_str_begins(struct wr_str s, struct wr_str start)
{
  return s.len >= start.len && wr_str_eq((struct wr_str){s.ptr, start.len}, start);
}

/// The same, ignoring ASCII case only.
static inline bool wr_str_begins_nocase(struct wr_str s, struct wr_str start)
{
  return s.len >= start.len && wr_str_eq_nocase((struct wr_str){s.ptr, start.len}, start);
}

/// Cuts `len` bytes off the front of `*from`, as a slice. False, with nothing changed, when there
/// are fewer.
static inline bool wr_str_take(struct wr_str *from, size_t len, struct wr_str *out)
{
  if (from->len < len) return false;
  *out = (struct wr_str){from->ptr, len};
  *from = (struct wr_str){from->ptr + len, from->len - len};
  return true;
}

/// The same, copied to `out`: a number or a struct as it lies in memory.
static inline bool wr_str_take_copy(struct wr_str *from, size_t len, void *out)
{
  struct wr_str taken;
  if (!wr_str_take(from, len, &taken)) return false;
  memcpy(out, taken.ptr, len);
  return true;
}
