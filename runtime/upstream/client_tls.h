#pragma once
/// TLS towards one upstream: by whom its endpoints' certificates must be signed, what name they
/// must bear, and the certificate that weir shows them.
///
/// Settings of one generation, and of the connections that were opened with them: counted. Texts
/// are PEM, owned; keys are wiped when they go. One worker's loop.

#include "base/error.h"
#include "base/str.h"

struct wr_tls_file;
struct wr_tls_origin;
struct wr_tls_roots;

enum { WR_CLIENT_TLS_DIGEST = 16 };

struct wr_client_tls {
  struct wr_str ca;          ///< absent: the transport's roots
  struct wr_str cert, key;   ///< absent: none is shown
  struct wr_str server_name; ///< asked for by SNI, and verified; absent: the authority's host
  bool skip_verify;          ///< any certificate is taken
  unsigned char digest[WR_CLIENT_TLS_DIGEST]; ///< the same for the same settings but server_name
  size_t refs;                                // private
  struct wr_tls_origin *origin;               // private: NULL: not needed yet
};

/// What `wr_client_tls_new` reads; borrowed. Files without a path are not given.
struct wr_client_tls_options {
  const struct wr_tls_file *ca, *cert, *key;
  struct wr_str server_name;
  bool skip_verify;
  int64_t now_s; ///< the certificate must be valid then (Unix time); 0: whenever
};

/// NULL with a set error that names the file and the reason. The result has one holder.
struct wr_client_tls *wr_client_tls_new(const struct wr_client_tls_options *o,
                                        struct wr_error *error);

/// One holder more.
struct wr_client_tls *wr_client_tls_ref(struct wr_client_tls *tls);

/// One less; the last one frees it. NULL is fine.
void wr_client_tls_unref(struct wr_client_tls *tls);

/// The same as OpenSSL takes it, made when it is first asked for; borrowed. NULL with a set error.
struct wr_tls_origin *wr_client_tls_origin(struct wr_client_tls *tls, struct wr_tls_roots *roots,
                                           struct wr_error *error);
