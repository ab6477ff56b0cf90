#pragma once
/// "Did you mean": the known word that is nearest to what was typed. Pure.

#include <stddef.h>

enum {
  WR_SUGGEST_MAX = 64,     ///< words to choose from that callers make room for
  WR_SUGGEST_LEN_MAX = 32, ///< longer words are never suggested nor corrected
};

/// Single-character insertions, deletions, replacements and swaps of neighbours between `a` and `b`
/// (optimal string alignment); a number past WR_SUGGEST_LEN_MAX when one of them is longer than
/// that.
size_t wr_suggest_distance(const char *a, const char *b);

/// The nearest of `words`, or NULL when none is near: one error in three characters, but at least
/// one.
const char *wr_suggest_of(const char *typed, const char *const *words, size_t count);
