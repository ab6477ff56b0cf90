#pragma once
/// Moments as people read them: RFC 3339 with milliseconds, UTC.

#include "base/str.h"

#include <stdint.h>

enum { WR_STAMP_TEXT = 48 };

/// Nanoseconds since 1970 as "2026-11-21T04:30:00.250Z" into `out`, which is returned.
const char *wr_stamp_text(uint64_t wall_ns, char out[WR_STAMP_TEXT]);

/// Reads what `wr_stamp_text` wrote. False, with nothing changed, when it is something else.
bool wr_stamp_read(struct wr_str text, uint64_t *wall_ns);
