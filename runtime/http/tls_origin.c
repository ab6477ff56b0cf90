#include "http/tls_origin.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/map.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

struct wr_tls_roots {
  char *path;
  X509_STORE *store; // NULL: not needed yet
};

// The latest session of one name, as its server gave it.
struct kept {
  SSL_SESSION *session;
};

struct wr_tls_origin {
  size_t refs;
  SSL_CTX *ctx;
  struct wr_map sessions; // struct kept; none goes before the origin does
};

// RFC 9113 9.2.2 prohibits all others with TLS 1.2.
static const char h2_ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                                 "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                                 "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

// Roots

struct wr_tls_roots *wr_tls_roots_new(const char *path)
{
  struct wr_tls_roots *roots = wr_alloc(sizeof(*roots));
  if (path) roots->path = wr_strdup(path);
  return roots;
}

void wr_tls_roots_free(struct wr_tls_roots *roots)
{
  if (roots == NULL) return;
  X509_STORE_free(roots->store);
  wr_free(roots->path);
  wr_free(roots);
}

static X509_STORE *read_roots(struct wr_tls_roots *roots, struct wr_error *error)
{
  if (roots->store) return roots->store;
  ERR_clear_error();
  X509_STORE *store = X509_STORE_new();
  int ok =
      roots->path ? X509_STORE_load_file(store, roots->path) : X509_STORE_set_default_paths(store);
  if (ok == 1) {
    roots->store = store;
  } else {
    wr_error_set(error, WR_ERROR_TLS, "CA file '%s': %s", roots->path ? roots->path : "default",
                 wr_tls_certificate_reason());
    X509_STORE_free(store);
  }
  ERR_clear_error();
  return roots->store;
}

// Sessions

// A session of TLS 1.3 is for one connection (RFC 8446 C.4); its server sends new ones.
static void resume(SSL *ssl, struct kept *kept)
{
  if (kept->session == NULL) return;
  SSL_set_session(ssl, kept->session);
  if (SSL_SESSION_get_protocol_version(kept->session) != TLS1_3_VERSION) return;
  SSL_SESSION_free(kept->session);
  kept->session = NULL;
}

static struct kept *keep_under(struct wr_tls_origin *o, struct wr_str name)
{
  struct kept *kept = wr_map_get(&o->sessions, name);
  if (kept != NULL || o->sessions.count >= WR_TLS_ORIGIN_SESSIONS) return kept;
  kept = wr_alloc(sizeof(*kept));
  wr_map_put(&o->sessions, name, kept);
  return kept;
}

// Returns 1 when the session is kept.
static int on_session(SSL *ssl, SSL_SESSION *session)
{
  struct kept *kept = SSL_get_app_data(ssl);
  if (kept == NULL) return 0;
  SSL_SESSION_free(kept->session);
  kept->session = session;
  return 1;
}

// Making

static bool set_trust(SSL_CTX *ctx, const struct wr_tls_origin_options *o, struct wr_error *error)
{
  bool has_ca = o->ca.text.len > 0;
  if (o->skip_verify) return true;
  X509_STORE *store =
      has_ca ? wr_tls_certificate_store(&o->ca, NULL, error) : read_roots(o->roots, error);
  if (store == NULL) return false;
  // As libcurl has it: whoever is named is trusted, though an authority stand above it.
  X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
  SSL_CTX_set1_cert_store(ctx, store);
  if (has_ca) X509_STORE_free(store);
  return true;
}

static bool set_pair(SSL_CTX *ctx, const struct wr_tls_origin_options *o, struct wr_error *error)
{
  struct wr_tls_certificate pair;
  if (o->cert.text.len == 0) return true;
  if (!wr_tls_certificate_load(&pair, &o->cert, &o->key, 0, error)) return false;
  bool ok = SSL_CTX_use_cert_and_key(ctx, pair.leaf, pair.key, pair.chain, 1) == 1;
  wr_tls_certificate_fini(&pair);
  if (ok) return true;
  wr_error_set(error, WR_ERROR_INVALID, "certificate '%s': %s", o->cert.path,
               wr_tls_certificate_reason());
  return false;
}

static void set_rules(SSL_CTX *ctx)
{
  SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
  SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(ctx, on_session);
}

struct wr_tls_origin *wr_tls_origin_new(const struct wr_tls_origin_options *o,
                                        struct wr_error *error)
{
  struct wr_tls_origin *origin = wr_alloc(sizeof(*origin));
  struct wr_hash_key key;
  WR_CHECK(RAND_bytes((unsigned char *)&key, sizeof(key)) == 1);
  origin->refs = 1;
  origin->ctx = SSL_CTX_new(TLS_client_method());
  WR_CHECK(origin->ctx != NULL);
  wr_map_init(&origin->sessions, key);
  set_rules(origin->ctx);
  if (set_trust(origin->ctx, o, error) && set_pair(origin->ctx, o, error)) return origin;
  wr_tls_origin_unref(origin);
  return NULL;
}

struct wr_tls_origin *wr_tls_origin_ref(struct wr_tls_origin *o)
{
  o->refs++;
  return o;
}

void wr_tls_origin_unref(struct wr_tls_origin *o)
{
  if (o == NULL || --o->refs > 0) return;
  size_t at = 0;
  struct kept *kept;
  while ((kept = wr_map_next(&o->sessions, &at, NULL)) != NULL) {
    SSL_SESSION_free(kept->session);
    wr_free(kept);
  }
  wr_map_fini(&o->sessions);
  SSL_CTX_free(o->ctx);
  wr_free(o);
}

static void digest_text(EVP_MD_CTX *md, struct wr_str text)
{
  uint64_t len = text.len;
  EVP_DigestUpdate(md, &len, sizeof(len)); // where one text ends and the next begins
  EVP_DigestUpdate(md, text.ptr, text.len);
}

void wr_tls_origin_digest(const struct wr_tls_origin_options *o,
                          unsigned char out[WR_TLS_ORIGIN_DIGEST])
{
  unsigned char whole[EVP_MAX_MD_SIZE];
  EVP_MD_CTX *md = EVP_MD_CTX_new();
  EVP_DigestInit_ex(md, EVP_sha256(), NULL);
  digest_text(md, o->ca.text);
  digest_text(md, o->cert.text);
  digest_text(md, o->key.text);
  EVP_DigestUpdate(md, o->skip_verify ? "!" : ".", 1);
  EVP_DigestFinal_ex(md, whole, NULL);
  EVP_MD_CTX_free(md);
  memcpy(out, whole, WR_TLS_ORIGIN_DIGEST);
}

// Connections

static bool is_address(const char *name)
{
  unsigned char bytes[sizeof(struct in6_addr)];
  return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

// RFC 6066 3: SNI takes no addresses.
static void set_name(SSL *ssl, const char *name)
{
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (is_address(name)) {
    WR_CHECK(X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1);
  } else {
    WR_CHECK(SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1);
  }
}

SSL *wr_tls_origin_begin(const struct wr_tls_ask *ask)
{
  static const unsigned char h1[] = "\x08http/1.1";
  static const unsigned char h2[] = "\x02h2";
  bool is_h2 = ask->protocol == WR_TLS_HTTP2;
  SSL *ssl = SSL_new(ask->origin->ctx);
  WR_CHECK(ssl != NULL);
  SSL_set_connect_state(ssl);
  set_name(ssl, ask->name);
  if (is_h2) SSL_set_cipher_list(ssl, h2_ciphers);
  // It says 0 when it has worked.
  WR_CHECK(SSL_set_alpn_protos(ssl, is_h2 ? h2 : h1,
                               (unsigned)(is_h2 ? sizeof(h2) : sizeof(h1)) - 1) == 0);
  if (ask->resume.len == 0) return ssl;
  struct kept *kept = keep_under(ask->origin, ask->resume);
  SSL_set_app_data(ssl, kept);
  if (kept) resume(ssl, kept);
  return ssl;
}
