#include "base/buf.h"

#include "base/alloc.h"
#include "base/check.h"

#include <stdio.h>

enum { FIRST_CAPACITY = 256 };

void wr_buf_init(struct wr_buf *b, size_t max)
{
  WR_CHECK(max > 0);
  *b = (struct wr_buf){.max = max};
}

void wr_buf_fini(struct wr_buf *b)
{
  wr_free(b->data);
  *b = (struct wr_buf){.max = b->max};
}

// Moves the content to the front when that alone makes room, else doubles.
static void make_room(struct wr_buf *b, size_t len)
{
  if (b->cap - b->start - b->len >= len) return;
  if (b->start > 0) {
    memmove(b->data, b->data + b->start, b->len);
    b->start = 0;
    if (b->cap - b->len >= len) return;
  }
  size_t cap = b->cap ? b->cap : FIRST_CAPACITY;
  while (cap < b->len + len) cap *= 2;
  b->data = wr_realloc(b->data, cap);
  b->cap = cap;
}

char *wr_buf_reserve(struct wr_buf *b, size_t len)
{
  if (len > b->max - b->len) return NULL;
  make_room(b, len);
  return b->data + b->start + b->len;
}

void wr_buf_grow(struct wr_buf *b, size_t len)
{
  WR_CHECK(b->cap - b->start - b->len >= len);
  b->len += len;
}

bool wr_buf_append(struct wr_buf *b, const void *data, size_t len)
{
  if (len == 0) return true;
  char *room = wr_buf_reserve(b, len);
  if (room == NULL) return false;
  memcpy(room, data, len);
  b->len += len;
  return true;
}

bool wr_buf_append_str(struct wr_buf *b, struct wr_str s)
{
  return wr_buf_append(b, s.ptr, s.len);
}

bool wr_buf_printf(struct wr_buf *b, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  va_list again;
  va_copy(again, args);
  int need = vsnprintf(NULL, 0, format, args);
  va_end(args);
  WR_CHECK(need >= 0);
  char *room = wr_buf_reserve(b, (size_t)need + 1);
  if (room != NULL) {
    vsnprintf(room, (size_t)need + 1, format, again);
    b->len += (size_t)need;
  }
  va_end(again);
  return room != NULL;
}

void wr_buf_drop(struct wr_buf *b, size_t len)
{
  WR_CHECK(len <= b->len);
  b->len -= len;
  b->start = b->len ? b->start + len : 0;
}

void wr_buf_clear(struct wr_buf *b)
{
  b->start = 0;
  b->len = 0;
}
