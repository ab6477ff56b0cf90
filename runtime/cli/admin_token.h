#pragma once
/// The token that the admin listener asks of callers over TCP: for `run`, and for the verbs that
/// ask.

#include "base/error.h"

#include <stdbool.h>

enum { WR_ADMIN_TOKEN_MIN = 16, WR_ADMIN_TOKEN_MAX = 256 }; ///< bytes

/// Which file it is in: `option` (may be NULL), else $WEIR_ADMIN_TOKEN_FILE; NULL: there is none.
const char *wr_admin_token_file(const char *option);

/// Reads the first line of `path`, without white space around it. False with a set error when it
/// cannot be read, when others than its owner may read it, or when it is no token: printable ASCII
/// without spaces, of a length between the two above.
bool wr_admin_token_read(const char *path, char out[WR_ADMIN_TOKEN_MAX + 1],
                         struct wr_error *error);
