#pragma once
/// TLS in scripts' hands.

#include "http/tls_facts.h"
#include "upstream/client_tls.h"

#include <lua.h>

/// Reads the option `tls` {ca, cert, key, server_name, verify} of the upstream's options at
/// `index`;
/// `*out` is NULL without one. False with a set error that names the file.
bool wr_bind_tls_client(lua_State *L, int index, struct wr_client_tls **out,
                        struct wr_error *error);

/// Pushes `{ version, cipher, sni, protocol, resumed, verified, client }` of a connection; `client`
/// is `{ subject, issuer, serial, fingerprint, names }`, nil without a certificate.
void wr_bind_tls_push(lua_State *L, const struct wr_tls_facts *tls);
