#pragma once
/// W3C Trace Context (level 2): which trace a request belongs to, read from `traceparent` and
/// `tracestate`, and said on. Pure.
///
/// Ids are kept as the lower-case hexadecimal text that fields, log lines and JSON bear.

#include "http/headers.h"

enum {
  WR_TRACE_ID_TEXT = 33,     ///< a trace id with its NUL
  WR_TRACE_SPAN_TEXT = 17,   ///< a span id with its NUL
  WR_TRACE_PARENT_LEN = 55,  ///< of a `traceparent` of version 00
  WR_TRACE_STATE_MAX = 512,  ///< bytes of `tracestate` that are passed on
  WR_TRACE_MEMBERS_MAX = 32, ///< its members
};

/// Bits of the flags.
enum { WR_TRACE_SAMPLED = 1, WR_TRACE_RANDOM = 2 };

struct wr_trace_context {
  char trace_id[WR_TRACE_ID_TEXT];
  char span_id[WR_TRACE_SPAN_TEXT]; ///< of whoever speaks
  uint8_t flags;
  struct wr_str state; ///< `tracestate` as one field; absent without one
};

/// Reads one value of `traceparent`. False, with nothing changed, when it is not valid; what a
/// later version adds is not looked at.
bool wr_trace_context_parent(struct wr_str value, struct wr_trace_context *out);

/// Reads what a head says; the joined state lives in `region`. False when there is not just one
/// valid `traceparent`: then there is no state either. A state that is not valid is absent; of one
/// that is too long, members beyond 128 bytes go first, then the last ones.
bool wr_trace_context_read(const struct wr_headers *headers, struct wr_region *region,
                           struct wr_trace_context *out);

/// Writes `traceparent` (version 00), WR_TRACE_PARENT_LEN bytes and a NUL, with `span_id` as the
/// parent of what is asked for.
void wr_trace_context_write(const struct wr_trace_context *c, const char *span_id,
                            char out[WR_TRACE_PARENT_LEN + 1]);

/// 16 lower-case digits and a NUL.
void wr_trace_context_digits(uint64_t bits, char out[WR_TRACE_SPAN_TEXT]);
