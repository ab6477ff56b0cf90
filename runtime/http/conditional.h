#pragma once
/// Conditional and range requests answered from a stored response (RFC 9110 13 and 14). Pure.

#include "http/headers.h"

#include <stdint.h>

/// Do two entity tags match in the weak comparison (RFC 9110 8.8.3.2)?
bool wr_conditional_weak_match(struct wr_str a, struct wr_str b);

/// Is the stored response, of a 2xx status, what the client has already: should it be a 304?
/// If-None-Match, else If-Modified-Since against Last-Modified, else Date. `wall_s` is the Unix
/// time, for two-digit years.
bool wr_conditional_not_modified(const struct wr_headers *request, const struct wr_headers *stored,
                                 int64_t wall_s);

enum wr_conditional_range {
  WR_CONDITIONAL_WHOLE,         ///< no range, or one that need not be obeyed
  WR_CONDITIONAL_PART,          ///< 206
  WR_CONDITIONAL_UNSATISFIABLE, ///< 416
};

struct wr_conditional_part {
  uint64_t from;
  uint64_t to; ///< the last byte of it
};

/// Reads Range and If-Range for a stored body of `length` bytes. Of several ranges none is obeyed,
/// as the RFC permits.
enum wr_conditional_range wr_conditional_read_range(const struct wr_headers *request,
                                                    const struct wr_headers *stored,
                                                    uint64_t length,
                                                    struct wr_conditional_part *part);

/// Drops the fields that a 304 does not repeat.
void wr_conditional_strip(struct wr_headers *stored);
