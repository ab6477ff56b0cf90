#pragma once
/// Which proxies in front of us are believed about their clients (X-Forwarded-For and its like).
///
/// A list of networks, part of a generation's declarations. Without any, what a client says about
/// itself is dropped. Pure but for the list's memory.

#include "base/error.h"
#include "http/headers.h"

enum { WR_TRUST_MAX = 64 };

struct wr_trust_network {
  unsigned char bytes[16]; ///< IPv6, or IPv4 mapped into it
  uint8_t bits;            ///< of the prefix, 0 to 128
};

struct wr_trust {
  struct wr_trust_network networks[WR_TRUST_MAX];
  size_t count;
};

/// Adds "10.0.0.0/8", "192.0.2.7" or "fd00::/8". False with a set error that names what is wrong.
bool wr_trust_add(struct wr_trust *t, struct wr_str network, struct wr_error *error);

/// Is this numeric address in one of the networks?
bool wr_trust_has(const struct wr_trust *t, struct wr_str address);

/// Whose request it is: the peer, or, behind trusted proxies, the rightmost address of
/// X-Forwarded-For that is not trusted itself (what stands left of it, anybody may have written). A
/// slice of either.
struct wr_str wr_trust_client(const struct wr_trust *t, struct wr_str peer,
                              const struct wr_headers *headers);
