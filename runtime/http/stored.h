#pragma once
/// A response as bytes for a cache, and back: status, freshness, fields, body. Pure.
///
/// Reading trusts nothing: every length is checked against what is there.

#include "base/buf.h"
#include "http/freshness.h"

/// Appends the record's head: what wr_stored_read needs before the body. False when `out` is full.
bool wr_stored_write(int status, const struct wr_freshness *f, const struct wr_headers *fields,
                     struct wr_buf *out);

/// Reads a record: fields are copied to `fields` (and so to its region), `body` borrows `record`.
/// False when it is none, or does not fit into `fields`.
bool wr_stored_read(struct wr_str record, int *status, struct wr_freshness *f,
                    struct wr_headers *fields, struct wr_str *body);
