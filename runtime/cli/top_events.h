#pragma once
/// What changed between two statuses, in words: for the last lines of `weir top`.

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

enum { WR_TOP_EVENTS_KEPT = 16, WR_TOP_EVENTS_TEXT = 160 };

/// The newest ones; zeroed to begin with.
struct wr_top_events {
  char lines[WR_TOP_EVENTS_KEPT][WR_TOP_EVENTS_TEXT]; // private: a ring
  size_t count;                                       ///< ever
};

/// Notes what differs. `before` may be NULL.
void wr_top_events_note(struct wr_top_events *e, const json_t *before, const json_t *after);

/// Prints up to `most` of them, the newest last.
void wr_top_events_print(const struct wr_top_events *e, size_t most, FILE *out);
