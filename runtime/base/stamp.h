#pragma once
/// Moments as people read them: RFC 3339 with milliseconds, UTC.

#include <stdint.h>

enum { WR_STAMP_TEXT = 48 };

/// Nanoseconds since 1970 as "2026-11-21T04:30:00.250Z" into `out`, which is returned.
const char *wr_stamp_text(uint64_t wall_ns, char out[WR_STAMP_TEXT]);
