#pragma once
/// How long a client is ready to wait, as its request says. Pure.

#include "http/headers.h"

/// The shorter of `limit_ns` (the route's own) and what the client leaves of its own deadline:
/// X-Request-Deadline-Ms, or grpc-timeout as the gRPC protocol writes it ("100m"). In ns, at
/// least 1.
uint64_t wr_client_deadline(const struct wr_headers *headers, uint64_t limit_ns);
