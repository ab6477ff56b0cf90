#pragma once
/// The transport that callers hold: hands each request to the one that speaks its protocol.
/// Transfers belong to that one, so nothing stands in their way afterwards.

#include "upstream/transport.h"

/// Owns them: closes `h1` (http, and tunnels), `h2` (what must speak HTTP/2) and `secure` (other
/// https) with itself.
struct wr_transport *wr_transport_scheme_new(struct wr_transport *h1, struct wr_transport *h2,
                                             struct wr_transport *secure);
