#pragma once
/// An error in a script as people want to see it: message, place, the lines around it, a mark under
/// the culprit.

#include <stdio.h>

/// All texts may be NULL or "".
struct wr_excerpt {
  const char *stage;     ///< where in loading: "load", "declare", …
  const char *file;      ///< the source is shown when it is a regular file that can be read
  int line;              ///< 0: unknown
  const char *message;   ///< with or without "FILE:LINE: " before it
  const char *traceback; ///< lines
};

/// Prints it.
void wr_excerpt_print(FILE *out, const struct wr_excerpt *e);
