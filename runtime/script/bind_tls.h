#pragma once
/// TLS in scripts' hands.

#include "http/tls_facts.h"

#include <lua.h>

/// Pushes `{ version, cipher, sni, protocol, resumed, verified, client }` of a connection; `client`
/// is `{ subject, issuer, serial, fingerprint, names }`, nil without a certificate.
void wr_bind_tls_push(lua_State *L, const struct wr_tls_facts *tls);
