#pragma once
/// What is known of a client by its TLS handshake. Nothing of it comes from a header field.

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

/// Why a handshake failed.
enum wr_tls_failure {
  WR_TLS_CLOSED,      ///< the client closed or reset the connection
  WR_TLS_TIMEOUT,     ///< it took too long
  WR_TLS_PLAIN,       ///< plain HTTP on the TLS port
  WR_TLS_PROTOCOL,    ///< anything else that is not TLS, or breaks its rules
  WR_TLS_VERSION,     ///< no version in common
  WR_TLS_CIPHER,      ///< no cipher, group or signature in common
  WR_TLS_CERTIFICATE, ///< a client certificate is missing or not good
  WR_TLS_REJECTED,    ///< the client does not like us (an unknown CA, say)
  WR_TLS_FAILURES
};

/// "closed", "timeout", …
const char *wr_tls_failure_name(enum wr_tls_failure failure);

/// A certificate that was shown, and found good by the listener's CA: others end the handshake.
struct wr_tls_client {
  char *subject;     ///< RFC 2253: "CN=billing,O=Example"
  char *issuer;      ///< the same
  char *serial;      ///< hexadecimal, lower case
  char *fingerprint; ///< SHA-256 of the certificate, hexadecimal, lower case
  char **names;      ///< subject alternative names: "dns:a.example", "uri:spiffe://…", "ip:…"
  size_t name_count;
  char *field; ///< the certificate as the field Client-Cert has it (RFC 9440)
};

/// Belongs to the connection; constant once its handshake is over.
struct wr_tls_facts {
  const char *version;          ///< "1.2" or "1.3"
  const char *cipher;           ///< IANA's name: "TLS_AES_128_GCM_SHA256"
  char *sni;                    ///< the host that the client named, lower case; NULL: none
  struct wr_str protocol;       ///< chosen by ALPN: "h2", "http/1.1"; absent: none was offered
  bool is_resumed;              ///< by a session ticket
  bool is_told;                 ///< upstreams are to be told of `client`
  struct wr_tls_client *client; ///< NULL: it showed no certificate
  struct wr_tls *tls;           ///< the listener's
  int certificate;              ///< number of the one that it was given (wr_tls_find)
};
