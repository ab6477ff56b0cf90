#pragma once
/// What a named primitive is doing now, in a few words: "open since 12s, probes in 4s".

#include <jansson.h>
#include <stdbool.h>

enum { WR_NOW_SIZE = 160 };

/// `one` is its object of `GET /status`, `kind` what its verb is called ("breaker"). False, and
/// `out` is empty, when there is nothing to be said; `*is_calm` says that nobody is refused and
/// nothing is out of order.
bool wr_now_text(const char *kind, const json_t *one, char out[WR_NOW_SIZE], bool *is_calm);
