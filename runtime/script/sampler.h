#pragma once
/// Which requests are traced from their beginning on (head sampling), as OpenTelemetry's samplers.
/// Pure.

#include "base/rng.h"
#include "http/trace_context.h"

enum wr_sampler_kind { WR_SAMPLER_OFF, WR_SAMPLER_ON, WR_SAMPLER_RATIO };

struct wr_sampler {
  uint8_t kind;         ///< enum wr_sampler_kind
  bool is_parent_based; ///< a caller that is believed has decided already
  double ratio;         ///< RATIO: 0 to 1
};

/// Decides. `caller` (NULL: there is none) is what a request came with. `is_believed`: its word and
/// its choice of an id count; else the draw is our own, or everybody could choose to be traced.
bool wr_sampler_takes(const struct wr_sampler *s, const struct wr_trace_context *caller,
                      bool is_believed, struct wr_rng *rng);

/// The share of all trace ids, by their last 63 bits, as other SDKs reckon it: services with the
/// same ratio take the same traces.
bool wr_sampler_in_ratio(double ratio, const char *trace_id);
