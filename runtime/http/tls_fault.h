#pragma once
/// Why TLS failed, out of OpenSSL's errors. Private to http/.

#include "http/tls_facts.h"

#include <openssl/ssl.h>

enum { WR_TLS_FAULT_SIZE = 128 };

/// Which failure an error of OpenSSL's is.
enum wr_tls_failure wr_tls_fault_of(unsigned long error);

/// Says what is wrong with a server, as text.
void wr_tls_fault_tell(char out[WR_TLS_FAULT_SIZE], const SSL *ssl, unsigned long error);
