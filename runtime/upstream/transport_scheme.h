#pragma once
/// The transport that callers hold: hands each request to the one that speaks its scheme. Transfers
/// belong to that one, so nothing stands in their way afterwards.

#include "upstream/transport.h"

/// Owns both: closes `plain` (http) and `secure` (https) with itself.
struct wr_transport *wr_transport_scheme_new(struct wr_transport *plain,
                                             struct wr_transport *secure);
