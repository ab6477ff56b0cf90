#pragma once
/// What happened to a request as spans of OpenTelemetry: the request itself (SERVER), its attempts
/// (CLIENT), layers and waits (INTERNAL). Built once, when the request is over, from what its trail
/// kept.

#include "observe/otlp_batch.h"
#include "policy/serve.h"

/// Adds the spans of a request that has a trace of ours. `offset_ns` makes Unix time of the loop's.
/// Returns how many had no room.
uint32_t wr_spans_write(struct wr_otlp_batch *b, const struct wr_serving *s,
                        const struct wr_exchange_stats *stats, uint64_t now_ns, uint64_t offset_ns);

/// Did it go wrong for its client through no fault of his own: such a request is traced also when
/// it was not chosen.
bool wr_spans_is_failure(const struct wr_serving *s, const struct wr_exchange_stats *stats);
