#pragma once
/// TLS towards one upstream: by whom its endpoints' certificates must be signed, what name they
/// must bear, and the certificate that weir shows them.
///
/// Settings of one generation. Texts are PEM, owned; keys are wiped when they go.

#include "base/error.h"
#include "base/str.h"

struct wr_tls_file;

struct wr_client_tls {
  struct wr_str ca;          ///< absent: the transport's roots
  struct wr_str cert, key;   ///< absent: none is shown
  struct wr_str server_name; ///< asked for by SNI, and verified; absent: the authority's host
  bool skip_verify;          ///< any certificate is taken
};

/// What `wr_client_tls_new` reads; borrowed. Files without a path are not given.
struct wr_client_tls_options {
  const struct wr_tls_file *ca, *cert, *key;
  struct wr_str server_name;
  bool skip_verify;
  int64_t now_s; ///< the certificate must be valid then (Unix time); 0: whenever
};

/// NULL with a set error that names the file and the reason.
struct wr_client_tls *wr_client_tls_new(const struct wr_client_tls_options *o,
                                        struct wr_error *error);

/// Frees it; NULL is fine.
void wr_client_tls_free(struct wr_client_tls *tls);
