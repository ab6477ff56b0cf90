#pragma once
/// Which proxies in front of us are believed about their clients (X-Forwarded-For and its like).
///
/// A list of networks, part of a generation's declarations. Without any, what a client says about
/// itself is dropped. Pure but for the list's memory.

#include "base/network.h"
#include "http/headers.h"

/// Whose request it is: the peer, or, behind trusted proxies, the rightmost address of
/// X-Forwarded-For that is not trusted itself (what stands left of it, anybody may have written). A
/// slice of either.
struct wr_str wr_trust_client(const struct wr_networks *t, struct wr_str peer,
                              const struct wr_headers *headers);
