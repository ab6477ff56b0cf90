#pragma once
/// TLS towards servers: by whom their certificates must be signed, what is shown to them, and their
/// sessions, which are taken up again.
///
/// Counted. One worker's loop.

#include "http/tls_certificate.h"

enum {
  WR_TLS_ORIGIN_DIGEST = 16,    ///< bytes of wr_tls_origin_digest
  WR_TLS_ORIGIN_SESSIONS = 256, ///< kept for one origin; those of others are not resumed
};

/// Authorities that are trusted where none is named.
struct wr_tls_roots;

/// Those of a PEM file, which is read when it is first needed (some 20 ms for a system's), and no
/// more. NULL: what OpenSSL takes for the system's.
struct wr_tls_roots *wr_tls_roots_new(const char *path);

/// Frees them; NULL is fine. Origins that use them keep what they need.
void wr_tls_roots_free(struct wr_tls_roots *roots);

/// Everything is borrowed for the call. Files without a text are not given.
struct wr_tls_origin_options {
  struct wr_tls_file ca; ///< not given: `roots`
  struct wr_tls_file cert, key;
  bool skip_verify;
  struct wr_tls_roots *roots;
};

struct wr_tls_origin;

/// NULL with a set error that names the file and the reason. The result has one holder.
struct wr_tls_origin *wr_tls_origin_new(const struct wr_tls_origin_options *o,
                                        struct wr_error *error);

/// One holder more.
struct wr_tls_origin *wr_tls_origin_ref(struct wr_tls_origin *o);

/// One less; the last one frees it. NULL is fine.
void wr_tls_origin_unref(struct wr_tls_origin *o);

/// The same for the same texts and rules, and for no others.
void wr_tls_origin_digest(const struct wr_tls_origin_options *o,
                          unsigned char out[WR_TLS_ORIGIN_DIGEST]);

/// What is offered by ALPN, and nothing else.
enum wr_tls_protocol { WR_TLS_HTTP1, WR_TLS_HTTP2 };

/// What one connection asks for.
struct wr_tls_ask {
  struct wr_tls_origin *origin;
  const char *name; ///< the host, asked for by SNI, or an address, without brackets; verified
  enum wr_tls_protocol protocol;
  struct wr_str resume; ///< its sessions are kept under this; absent: they are not
};

/// A new connection's state, to be freed with SSL_free before the origin is let go.
SSL *wr_tls_origin_begin(const struct wr_tls_ask *ask);
