#pragma once
/// The words that the first operand of a verb may be: the actions of a primitive and their like.

#include "cli/cli.h"

/// The word number `at`; false past the last, and for verbs whose first operand is no such word.
bool wr_words_at(const struct wr_verb *verb, size_t at, struct wr_word *out);

/// Is `typed` one of them?
bool wr_words_have(const struct wr_verb *verb, const char *typed);

/// Is it a verb for one kind of named primitive, with the kind's name?
bool wr_words_is_kind(const struct wr_verb *verb);
