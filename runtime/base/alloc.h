#pragma once
/// Heap memory for small objects of our own choosing. Never returns NULL: out of memory aborts.
///
/// Anything whose size an outsider chooses goes through `buf` or `region`, which have a maximum and
/// can say no. Any thread.

#include <stddef.h>

/// `size` zeroed bytes, owned by the caller until `wr_free`.
void *wr_alloc(size_t size);

/// Resizes `ptr` (may be NULL) to `size` bytes; new bytes are not cleared.
void *wr_realloc(void *ptr, size_t size);

/// A NUL-terminated copy of `len` bytes of `text`.
char *wr_strndup(const char *text, size_t len);

/// A copy of the NUL-terminated `text`.
char *wr_strdup(const char *text);

/// Gives memory back; NULL is fine.
void wr_free(void *ptr);
