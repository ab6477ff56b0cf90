#pragma once
/// Reads JSON text (RFC 8259), a piece at a time: who reads decides what becomes of each, needs no
/// tree, and may stop between any two. Strict: one value with nothing behind it, UTF-8, no commas
/// at the end. Pure, and no recursion.
///
///     wr_json_reader_init(&r, text, &stop);
///     while ((token = wr_json_reader_next(&r)) > WR_JSON_END) …
///     wr_json_reader_fini(&r);

#include "base/buf.h"

/// json_depth: the deepest nesting that is read or written.
enum { WR_JSON_DEPTH_MAX = 64 };

enum wr_json_token {
  WR_JSON_WRONG,   ///< `why`, at `at`
  WR_JSON_STOPPED, ///< it was told to stop
  WR_JSON_END,     ///< the text was one whole value
  WR_JSON_OBJECT,
  WR_JSON_OBJECT_END,
  WR_JSON_ARRAY,
  WR_JSON_ARRAY_END,
  WR_JSON_KEY,    ///< of the member whose value comes next: `string`
  WR_JSON_STRING, ///< `string`
  WR_JSON_NUMBER, ///< `number`
  WR_JSON_TRUE,
  WR_JSON_FALSE,
  WR_JSON_NULL,
};

/// What may come next. Private.
enum wr_json_reader_state {
  WR_JSON_READS_VALUE,
  WR_JSON_READS_FIRST,     // of an array: a value, or its end
  WR_JSON_READS_FIRST_KEY, // of an object: a key, or its end
  WR_JSON_READS_MORE,      // a comma, or the end
};

struct wr_json_reader {
  struct wr_str text;                ///< read-only
  size_t at;                         ///< read-only: bytes that are done
  struct wr_str string;              ///< read-only: of the last token, until the next
  double number;                     ///< read-only
  char why[64];                      ///< read-only
  size_t depth;                      ///< read-only: containers that are open
  const _Atomic int *stop;           // private
  enum wr_json_reader_state state;   // private
  bool is_object[WR_JSON_DEPTH_MAX]; // private: each open container
  struct wr_buf unescaped;           // private
};

/// Begins to read `text`, which ends in a NUL that is not part of it, and is borrowed. Once `stop`
/// (a borrow; may be NULL) is not zero, the next token, or a long string under way, is STOPPED.
void wr_json_reader_init(struct wr_json_reader *r, struct wr_str text, const _Atomic int *stop);

/// Frees what it needed for itself.
void wr_json_reader_fini(struct wr_json_reader *r);

/// The next piece; after WRONG, STOPPED or END there is none.
enum wr_json_token wr_json_reader_next(struct wr_json_reader *r);

/// Line and column (in characters, both from 1) of where it is.
void wr_json_reader_place(const struct wr_json_reader *r, size_t *line, size_t *column);
