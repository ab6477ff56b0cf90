#pragma once
/// Who a client is by its certificate, in header fields: those it sends itself are worth nothing,
/// those that weir adds come from its TLS handshake.

#include "http/headers.h"
#include "http/tls_facts.h"

/// Takes out what proxies say clients' certificates with: Client-Cert, Client-Cert-Chain (RFC
/// 9440), X-Forwarded-Client-Cert, X-Client-Cert…, X-SSL-Client-….
void wr_identity_strip(struct wr_headers *h);

/// Adds Client-Cert when the listener is to tell and the client has one. `tls` may be NULL.
void wr_identity_tell(struct wr_headers *out, const struct wr_tls_facts *tls);
