#pragma once
/// How output looks: colours where they are wanted, and never a control byte that is not ours.

#include <stdio.h>

/// Escape sequences, all "" where colour is not wanted.
struct wr_style {
  const char *bold, *dim, *red, *green, *yellow, *reset;
};

/// Colours when `out` is a terminal, NO_COLOR is unset or empty, and TERM is not "dumb".
struct wr_style wr_style_of(FILE *out);

/// Prints text of others (file names, names from scripts, answers) with control bytes but line
/// feeds replaced, so that it cannot drive the terminal.
void wr_style_text(FILE *out, const char *text);
