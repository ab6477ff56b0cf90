#pragma once
/// A growable byte buffer that knows its maximum. Not for sharing between threads.
///
/// Grows by doubling up to `max`; an append that would pass `max` changes nothing and returns
/// false, so a caller has one path for "too large". Bytes are taken from the front with
/// `wr_buf_drop`.

#include "base/str.h"

#include <stdarg.h>
#include <stdint.h>

struct wr_buf {
  char *data; ///< read-only: first unread byte is data[start]
  size_t start;
  size_t len; ///< read-only: unread bytes
  size_t cap;
  size_t max; ///< read-only: most unread bytes it will ever hold
};

/// Starts empty; allocates nothing until the first byte. `max` > 0.
void wr_buf_init(struct wr_buf *b, size_t max);

/// Frees the memory; the buffer may be used again after `wr_buf_init`.
void wr_buf_fini(struct wr_buf *b);

/// Appends `len` bytes. False, with nothing changed, when the maximum would be passed.
bool wr_buf_append(struct wr_buf *b, const void *data, size_t len);

/// Appends one slice; see `wr_buf_append`.
bool wr_buf_append_str(struct wr_buf *b, struct wr_str s);

/// Appends formatted text; see `wr_buf_append`.
__attribute__((format(printf, 2, 3))) bool wr_buf_printf(struct wr_buf *b, const char *format, ...);

/// Room for `len` more bytes at the end, or NULL past the maximum. Fill it, then `wr_buf_grow`.
char *wr_buf_reserve(struct wr_buf *b, size_t len);

/// Counts `len` bytes, written into the reserved room, as content.
void wr_buf_grow(struct wr_buf *b, size_t len);

/// Drops `len` bytes from the front; `len` <= content.
void wr_buf_drop(struct wr_buf *b, size_t len);

/// Drops all content and keeps the memory.
void wr_buf_clear(struct wr_buf *b);

/// First unread byte; valid until the next append.
static inline char *wr_buf_head(const struct wr_buf *b)
{
  return b->data + b->start;
}

/// The content as a slice; valid until the next append.
static inline struct wr_str wr_buf_str(const struct wr_buf *b)
{
  return (struct wr_str){b->data ? b->data + b->start : "", b->len};
}
