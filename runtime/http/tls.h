#pragma once
/// TLS of one listener: its certificates, whom it asks for one, and the rules of its handshakes.
///
/// Immutable once made, and counted: a reload puts a new one in the place of the old one, and the
/// connections that began with the old one keep it to their end. One worker's loop.

#include "http/tls_certificate.h"

struct wr_session_keys;

enum wr_tls_client_auth { WR_TLS_CLIENT_NONE, WR_TLS_CLIENT_OPTIONAL, WR_TLS_CLIENT_REQUIRED };

struct wr_tls_pair {
  struct wr_tls_file cert, key;
};

/// Everything is borrowed for the call, but for `keys`, which must outlive the result.
struct wr_tls_options {
  size_t count;                 ///< how many pairs it will have at most; at least 1
  struct wr_tls_file client_ca; ///< no text: nobody is asked for a certificate
  enum wr_tls_client_auth client_auth;
  bool is_told;              ///< upstreams are told of verified clients (Client-Cert)
  int min_version;           ///< TLS1_2_VERSION or TLS1_3_VERSION
  const unsigned char *alpn; ///< protocols as in the extension, best first
  unsigned alpn_len;
  int64_t now_s;                      ///< certificates must be valid then (Unix time); 0: whenever
  const struct wr_session_keys *keys; ///< that session tickets are sealed with; NULL: no tickets
};

struct wr_tls;

/// Has OpenSSL read its configuration and find its algorithms, which costs 2 ms once: before it
/// forks, so that its children need not.
void wr_tls_warm(void);

/// Without a certificate yet. NULL with a set error that names the file and the reason. The result
/// has one holder.
struct wr_tls *wr_tls_new(const struct wr_tls_options *options, struct wr_error *error);

/// Reads and judges a certificate with its key, which takes 2 ms or more; the first one is served
/// to who names no host, or an unknown one. Before anybody connects. False with a set error that
/// names the file and the reason.
bool wr_tls_add(struct wr_tls *tls, const struct wr_tls_pair *pair, struct wr_error *error);

/// One holder more.
struct wr_tls *wr_tls_ref(struct wr_tls *tls);

/// One less; the last one frees it. NULL is fine.
void wr_tls_unref(struct wr_tls *tls);

/// A new connection's state, to be freed with SSL_free before `tls` is let go.
SSL *wr_tls_begin(struct wr_tls *tls);

/// Which certificate is for this host (in any case, with or without a dot at the end): its number,
/// or -1 when none bears the name.
int wr_tls_find(const struct wr_tls *tls, struct wr_str host);

/// Which certificate a connection was given.
int wr_tls_chosen(const SSL *ssl);

/// Are upstreams told of verified clients?
bool wr_tls_is_told(const struct wr_tls *tls);

/// The soonest end of a certificate, as Unix time.
int64_t wr_tls_end(const struct wr_tls *tls);
