#pragma once
/// A JSON document as a page of tables, for whoever has no JavaScript. For admin/.

#include "base/buf.h"

/// Appends the page that shows `json`, an object: whatever its members are. False when it does not
/// fit, or it is no object.
bool wr_plain_write(struct wr_str json, struct wr_buf *out);
