#pragma once
/// How requests ended, by generation: what a new one is compared with the old one by.

#include "policy/serve.h"

/// Counts a request that is over in the tally of its generation. A client that left says nothing,
/// nor does how long a tunnel was open.
void wr_reckon_request(const struct wr_serving *s, const struct wr_exchange_stats *stats);
