#pragma once
/// Lua 5.1 patterns with a step limit: the same matches as LuaJIT's own, but never for ever.
///
/// An iterative matcher with an explicit stack of choices: depth is bounded by the pattern's length
/// and refused above `WR_PATTERN_DEPTH_MAX`; each look at a byte, a set member or an item is a
/// step. Two differences: a zero byte in the pattern stands for itself and does not end the
/// pattern, and a capture that is still open at the end is an error even for a gsub that does not
/// use it. Malformed parts of a pattern are noticed when the match reaches them, as in Lua. Pure:
/// no Lua, no clock, no allocation. Any thread.

#include "base/str.h"

#include <stdint.h>

enum {
  WR_PATTERN_CAPTURES_MAX = 32,
  WR_PATTERN_DEPTH_MAX = 200,
  /// Steps of one search: this many, and `WR_PATTERN_STEPS_PER_BYTE` more for each subject byte.
  WR_PATTERN_STEPS = 1000000,
  WR_PATTERN_STEPS_PER_BYTE = 16,
};

/// The error of a search that took all its steps.
extern const char wr_pattern_too_complex[];

/// Lengths that mark a capture as something else than a slice.
enum { WR_PATTERN_UNFINISHED = -1, WR_PATTERN_POSITION = -2 };

struct wr_pattern_capture {
  size_t start;
  ptrdiff_t len; ///< or WR_PATTERN_UNFINISHED, WR_PATTERN_POSITION
};

struct wr_pattern {
  struct wr_str subject;
  struct wr_str pattern;   ///< without the anchor
  const _Atomic int *stop; ///< set after init: once it is not 0, searching ends with an error; or
                           ///< NULL
  uint64_t steps_left;     ///< private: of the slice, after which `stop` is looked at
  uint64_t steps_behind;   ///< private: after the slice
  uint64_t steps;          ///< read-only: the limit that init chose
  const char *error;       ///< read-only: constant text; NULL while all is well
  int captures;            ///< read-only, after a match
  struct wr_pattern_capture capture[WR_PATTERN_CAPTURES_MAX];
};

/// Prepares searches of `pattern` (anchor already cut off) in `subject`; borrows both.
void wr_pattern_init(struct wr_pattern *m, struct wr_str subject, struct wr_str pattern);

/// Tries to match at subject offset `at` <= length. True with the end offset in `*end` and the
/// captures set; false when there is none, or with `error` set. All captures of a match are
/// finished.
bool wr_pattern_at(struct wr_pattern *m, size_t at, size_t *end);

/// First match at or after `*at`, which becomes its start. Otherwise like `wr_pattern_at`.
bool wr_pattern_find(struct wr_pattern *m, size_t *at, size_t *end);

/// True when `pattern` has no magic character: a plain search will do.
bool wr_pattern_is_plain(struct wr_str pattern);
