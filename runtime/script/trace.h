#pragma once
/// The trace that a request is a part of, and its span there.
///
/// Without tracing of our own (no collector, see observe/otlp_settings.h) a request has what its
/// `traceparent` says, and passes that on. With it a request has a span of its own, whoever takes
/// it, and each attempt upstream another one, which is what the upstream is told. Lives in the
/// request's memory.

#include "base/json.h"
#include "script/sampler.h"

struct wr_trace {
  struct wr_trace_context context; ///< its span is the request's own, or else the caller's
  char caller[WR_TRACE_SPAN_TEXT]; ///< OURS: the span that the request came from; "" without one
  bool is_ours;                    ///< tracing is on
  uint64_t seed;                   ///< OURS: of the spans below the request's
};

/// Reads what a head says. `sampler`: tracing is on; NULL: it is not. `is_believed`: the peer is a
/// trusted proxy. NULL when the request belongs to no trace, or the region is full.
struct wr_trace *wr_trace_begin(const struct wr_headers *headers, struct wr_region *region,
                                const struct wr_sampler *sampler, bool is_believed,
                                struct wr_rng *rng);

/// Is it to be recorded from the beginning?
bool wr_trace_is_sampled(const struct wr_trace *t);

/// Where the spans of a decision chain's links begin, among those below a request's; before them
/// come the attempts, from 1.
#define WR_TRACE_LINKS (UINT64_C(1) << 32)

/// The id of the n-th span below the request's: the same each time.
void wr_trace_child(const struct wr_trace *t, uint64_t n, char out[WR_TRACE_SPAN_TEXT]);

/// The same trace in another region, for what goes on without the request; NULL when it is full.
struct wr_trace *wr_trace_copy(const struct wr_trace *t, struct wr_region *region);

/// Adds `trace_id` to a line of the log, and of a trace of ours `span_id`; nothing when `t` is
/// NULL.
void wr_trace_name(const struct wr_trace *t, struct wr_json *j);

/// Puts what an upstream is told into `out`, whose region the text lives in: `span_id` asks.
void wr_trace_tell(const struct wr_trace *t, const char *span_id, struct wr_headers *out);
