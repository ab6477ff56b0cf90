#pragma once
/// Reads a client's certificate into plain text, once a connection.

#include "http/tls_facts.h"

#include <openssl/ssl.h>

/// What a verified certificate says. Owned by the caller.
struct wr_tls_client *wr_tls_client_read(X509 *x);

/// Frees it; NULL is fine.
void wr_tls_client_free(struct wr_tls_client *c);
