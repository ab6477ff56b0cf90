#include "upstream/curl_error.h"

#include <string.h>

enum wr_error_kind wr_curl_error_kind(CURLcode result, const char *detail)
{
  switch (result) {
  case CURLE_OK: return WR_ERROR_NONE;
  case CURLE_COULDNT_RESOLVE_HOST: return WR_ERROR_DNS;
  case CURLE_COULDNT_CONNECT:
  case CURLE_INTERFACE_FAILED:
  case CURLE_FAILED_INIT: return WR_ERROR_CONNECT;
  case CURLE_OPERATION_TIMEDOUT: return WR_ERROR_TIMEOUT;
  case CURLE_SSL_CONNECT_ERROR:
  case CURLE_SSL_ENGINE_NOTFOUND:
  case CURLE_SSL_ENGINE_SETFAILED:
  case CURLE_SSL_CERTPROBLEM:
  case CURLE_SSL_CIPHER:
  case CURLE_PEER_FAILED_VERIFICATION:
  case CURLE_USE_SSL_FAILED:
  case CURLE_SSL_ENGINE_INITFAILED:
  case CURLE_SSL_CACERT_BADFILE:
  case CURLE_SSL_SHUTDOWN_FAILED:
  case CURLE_SSL_CRL_BADFILE:
  case CURLE_SSL_ISSUER_ERROR:
  case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
  case CURLE_SSL_INVALIDCERTSTATUS:
  case CURLE_SSL_CLIENTCERT: return WR_ERROR_TLS;
  case CURLE_UNSUPPORTED_PROTOCOL: // "HTTP/0.9", which is anything that is not HTTP
  case CURLE_WEIRD_SERVER_REPLY:
  case CURLE_BAD_CONTENT_ENCODING:
  case CURLE_FILESIZE_EXCEEDED:
  case CURLE_HTTP2: return WR_ERROR_PROTOCOL;
  case CURLE_SEND_ERROR:
  case CURLE_RECV_ERROR:
    // TLS 1.3 tells a client after its handshake that it has not the right certificate.
    if (strstr(detail, "alert")) return WR_ERROR_TLS;
    return strstr(detail, "chunked-encoding") ? WR_ERROR_PROTOCOL : WR_ERROR_RESET;
  default: return WR_ERROR_RESET;
  }
}

const char *wr_curl_error_cause(CURL *easy, CURLcode result, const char *detail)
{
  long os_errno = 0;
  curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &os_errno);
  if (os_errno != 0 && result == CURLE_COULDNT_CONNECT) return strerror((int)os_errno);
  return detail[0] ? detail : curl_easy_strerror(result);
}
