#pragma once
/// What every transport asks of a request before it is sent, so that none is stricter or laxer than
/// another. Pure.

#include "upstream/dns.h"
#include "upstream/transport.h"

/// Why the request cannot be sent (constant text), or NULL: names, values, target and authority are
/// those of RFC 9110 and 9112, and what frames a message is not among its fields.
const char *wr_transfer_check(const struct wr_transfer_request *rq);

/// Is this host the path of a Unix socket?
static inline bool wr_transfer_is_path(struct wr_str host)
{
  return host.len > 0 && host.ptr[0] == '/';
}

/// A request without a body says so with `Content-Length: 0` where its method promises one (RFC
/// 9110 8.6).
bool wr_transfer_wants_length(struct wr_str method);

/// Is an address among them that only this machine's own network reaches (169.254/16, fe80::/10)?
/// Clouds serve their credentials there.
bool wr_transfer_has_link_local(const struct wr_dns_answer *answer);
