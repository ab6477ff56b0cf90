#include "http/tls_fault.h"

#include <openssl/err.h>

const char *wr_tls_failure_name(enum wr_tls_failure failure)
{
  static const char *const names[] = {"closed",  "timeout", "plain_http",  "protocol",
                                      "version", "cipher",  "certificate", "rejected"};
  return names[failure];
}

enum wr_tls_failure wr_tls_fault_of(unsigned long error)
{
  int reason = ERR_GET_REASON(error);
  // Reasons from here on are the peer's alerts.
  if (reason >= SSL_AD_REASON_OFFSET) return WR_TLS_REJECTED;
  switch (reason) {
  case SSL_R_UNSUPPORTED_PROTOCOL:
  case SSL_R_VERSION_TOO_LOW:
  case SSL_R_WRONG_SSL_VERSION: return WR_TLS_VERSION;
  case SSL_R_NO_SHARED_CIPHER:
  case SSL_R_NO_SHARED_GROUPS:
  case SSL_R_NO_SUITABLE_GROUPS:
  case SSL_R_NO_SUITABLE_KEY_SHARE:
  case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
  case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM: return WR_TLS_CIPHER;
  case SSL_R_CERTIFICATE_VERIFY_FAILED:
  case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: return WR_TLS_CERTIFICATE;
  default: return WR_TLS_PROTOCOL;
  }
}

void wr_tls_fault_tell(char out[WR_TLS_FAULT_SIZE], const SSL *ssl, unsigned long error)
{
  const char *what = "TLS: ";
  const char *why = ERR_reason_error_string(error);
  switch (wr_tls_fault_of(error)) {
  case WR_TLS_CERTIFICATE:
    what = "its certificate is not good: ";
    why = X509_verify_cert_error_string(SSL_get_verify_result(ssl));
    break;
  case WR_TLS_REJECTED:
    what = "it sent the TLS alert: ";
    why = SSL_alert_desc_string_long(ERR_GET_REASON(error) - SSL_AD_REASON_OFFSET);
    break;
  default: break;
  }
  snprintf(out, WR_TLS_FAULT_SIZE, "%s%s", what, why ? why : "it broke the rules");
}
