#pragma once
/// Vary: which fields of the request chose the response, and what they said (RFC 9111 4.1). Pure.

#include "base/buf.h"
#include "http/headers.h"

enum { WR_VARY_NAMES_MAX = 16 }; ///< fields named by one response

/// Appends the names of Vary to `out`: lower case, sorted, once each, a comma between them; nothing
/// when there is none. False when no later request can match: `*`, more than WR_VARY_NAMES_MAX,
/// what is no name, or a field that weir itself writes on the way (X-Forwarded-For, Via, …): the
/// client's own text in it is not what the origin saw.
bool wr_vary_names(const struct wr_headers *response, struct wr_buf *out);

/// Appends what a request says in the fields of `names` (as above), in a form that is equal for
/// requests that mean the same: several lines are one list, white space around commas is dropped,
/// and lists of languages, encodings and charsets have no case and no order. False when `out` is
/// full.
bool wr_vary_values(struct wr_str names, const struct wr_headers *request, struct wr_buf *out);
