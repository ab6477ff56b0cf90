#pragma once
/// The decision chain of a request (script/chain.h) as spans below the request's, and as events of
/// that: attempts are CLIENT spans, layers and what took time INTERNAL ones, what took none an
/// event. Each below the layer that it was decided in.

#include "observe/span.h"
#include "policy/serve.h"

/// When a request ended, and what makes Unix time of the loop's.
struct wr_spans_clock {
  uint64_t now_ns, offset_ns;
};

/// Adds the spans. Returns how many had no room.
uint32_t wr_spans_chain_write(struct wr_otlp_batch *b, const struct wr_serving *s,
                              const struct wr_spans_clock *clock);

/// Adds the events to the request's span, whose attributes have ended.
void wr_spans_chain_events(struct wr_otlp_writer *w, const struct wr_serving *s,
                           const struct wr_spans_clock *clock);
