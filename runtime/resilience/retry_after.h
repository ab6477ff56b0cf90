#pragma once
/// The Retry-After field: delta-seconds, or an HTTP-date in any of its three forms (RFC 9110
/// §10.2.3 and §5.6.7).

#include "base/str.h"

#include <stdint.h>

/// Reads the field's value. `wall_seconds` is the Unix time, rounded down, so the wait comes out
/// too long by less than a second and never too short. A date that has passed gives 0; more than
/// `WR_DURATION_MAX` gives that. False when it is neither form; `*ns` is then untouched.
bool wr_retry_after_parse(struct wr_str text, int64_t wall_seconds, uint64_t *ns);

/// Reads an HTTP-date into Unix time. Two-digit years are the nearest that is not more than 50
/// years ahead of `wall_seconds`. The name of the day must be one, but need not match the date.
bool wr_retry_after_date(struct wr_str text, int64_t wall_seconds, int64_t *unix_seconds);
