#pragma once
/// Certificates and private keys from PEM text: read, judged, and asked for their names.
///
/// Messages name the file and what is wrong with it, never a byte of a key. Pure but for OpenSSL's
/// memory.

#include "base/error.h"
#include "base/str.h"

#include <openssl/ssl.h>

/// A file as it was read; nothing is read from disk here.
struct wr_tls_file {
  const char *path; ///< as the script wrote it, for messages
  struct wr_str text;
};

/// A certificate with the key that belongs to it.
struct wr_tls_certificate {
  X509 *leaf;
  STACK_OF(X509) * chain; ///< the certificates behind the first one in the file
  EVP_PKEY *key;
  char **names; ///< lower case: "a.example", "*.a.example", "192.0.2.1"
  size_t name_count;
};

/// Reads `cert` (the certificate first, then its chain) and `key`. With `now_s` > 0 (Unix time) a
/// certificate that is not valid then is refused. False with a set error and nothing to free.
bool wr_tls_certificate_load(struct wr_tls_certificate *c, const struct wr_tls_file *cert,
                             const struct wr_tls_file *key, int64_t now_s, struct wr_error *error);

/// Frees what `load` made; a zeroed one is fine.
void wr_tls_certificate_fini(struct wr_tls_certificate *c);

/// Does it bear the same names in the same order?
bool wr_tls_certificate_is_same(const struct wr_tls_certificate *a,
                                const struct wr_tls_certificate *b);

/// When it ends, as Unix time.
int64_t wr_tls_certificate_end(const X509 *leaf);

/// A new store of the certificates in a file, for the verification of others. With `names` not
/// NULL their subjects go there, owned by the caller. NULL with a set error.
X509_STORE *wr_tls_certificate_store(const struct wr_tls_file *file, STACK_OF(X509_NAME) * *names,
                                     struct wr_error *error);

/// What OpenSSL found wrong last, as text; its queue of errors is empty then.
const char *wr_tls_certificate_reason(void);
