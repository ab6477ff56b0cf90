#pragma once
/// The fields of a state, written as JSON or read back by one and the same list of calls: so what
/// is written and what is read cannot part.
///
/// A field that is missing, or that is not what it should be, leaves its value alone: what a reader
/// had before must be valid, and what it read is any value of the field's type. Times are stored
/// by how far they were from the moment of writing, for no clock of this machine outlives it; what
/// has passed since then counts. Borrows everything.

#include "base/json.h"

struct json_t; // jansson's

struct wr_archive {
  struct wr_json *out;     ///< writing; NULL: reading
  const struct json_t *in; ///< reading: the object; NULL: there is none
  uint64_t now_ns;         ///< monotonic
  uint64_t elapsed_ns;     ///< reading: since it was written
};

/// Reading, or writing?
bool wr_archive_is_reading(const struct wr_archive *a);

/// Numbers; at most INT64_MAX is kept of one.
void wr_archive_u32(struct wr_archive *a, const char *key, uint32_t *value);
void wr_archive_u64(struct wr_archive *a, const char *key, uint64_t *value);
/// Finite ones only.
void wr_archive_num(struct wr_archive *a, const char *key, double *value);
/// 0 or 1, as true and false.
void wr_archive_flag(struct wr_archive *a, const char *key, uint8_t *value);
/// A row of `count` numbers; one of another length is as if it were missing.
void wr_archive_u32s(struct wr_archive *a, const char *key, uint32_t *values, size_t count);
void wr_archive_u64s(struct wr_archive *a, const char *key, uint64_t *values, size_t count);

/// A moment, ns of the monotonic clock, past or to come; 0 and UINT64_MAX (none, never) stay so. A
/// moment before the machine was started becomes 1.
void wr_archive_time(struct wr_archive *a, const char *key, uint64_t *ns);

/// One of `count` words.
void wr_archive_word(struct wr_archive *a, const char *key, uint8_t *value,
                     const char *const *words, size_t count);

/// A text in a room of `size`, NUL-terminated; one that does not fit is cut.
void wr_archive_text(struct wr_archive *a, const char *key, char *text, size_t size);

/// A hash of 64 bits.
void wr_archive_hash(struct wr_archive *a, const char *key, uint64_t *value);

/// A state inside this one, until `wr_archive_close`.
struct wr_archive wr_archive_open(struct wr_archive *a, const char *key);
void wr_archive_close(struct wr_archive *inner);

/// A row of states, until `wr_archive_end`. Reading returns how many there are, writing `count`.
size_t wr_archive_begin(struct wr_archive *list, struct wr_archive *a, const char *key,
                        size_t count);
void wr_archive_end(struct wr_archive *list);

/// State number `at` of a row, until `wr_archive_close`; in order when writing.
struct wr_archive wr_archive_item(struct wr_archive *list, size_t at);
