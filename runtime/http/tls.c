#include "http/tls.h"

#include "arena/session_keys.h"
#include "base/alloc.h"
#include "base/check.h"
#include "base/duration.h"
#include "base/map.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

enum { HOST_MAX = 255, PAIRS_OF_ONE = 8 };

// What Mozilla calls intermediate, without DHE: forward secrecy and authenticated encryption only.
static const char ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                              "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                              "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

// One set of names, with a certificate of each kind of key at most.
struct identity {
  SSL_CTX *ctx;
  struct wr_tls_certificate first;
  int kinds[PAIRS_OF_ONE];
  size_t count;
};

struct wr_tls {
  size_t refs;
  struct identity *identities;
  size_t count, count_max;
  struct wr_map names; // of a host or "*.parent": identity number + 1
  unsigned char *alpn;
  unsigned alpn_len;
  bool is_told;
  int64_t end_s;
  int64_t now_s;
  int min_version;
  const struct wr_session_keys *keys;
  unsigned char session_id[EVP_MAX_MD_SIZE];
  unsigned session_id_len;
  // Of clients' certificates; NULL: they are asked for none.
  X509_STORE *store;
  STACK_OF(X509_NAME) * names_of_ca;
  int verify_mode;
};

// Choosing

static void *by_name(const struct wr_tls *tls, struct wr_str name)
{
  return wr_map_get(&tls->names, name);
}

int wr_tls_find(const struct wr_tls *tls, struct wr_str host)
{
  char text[HOST_MAX + 1];
  if (host.len > 0 && host.ptr[host.len - 1] == '.') host.len--;
  if (host.len == 0 || host.len > HOST_MAX) return -1;
  for (size_t i = 0; i < host.len; i++) text[i] = wr_str_lower(host.ptr[i]);
  uintptr_t found = (uintptr_t)by_name(tls, (struct wr_str){text, host.len});
  char *dot = memchr(text, '.', host.len);
  // A star stands for one label, the leftmost (RFC 6125 6.4.3).
  if (found == 0 && dot != NULL && dot > text) {
    dot[-1] = '*';
    found = (uintptr_t)by_name(tls, (struct wr_str){dot - 1, host.len - (size_t)(dot - 1 - text)});
  }
  return (int)found - 1;
}

int wr_tls_chosen(const SSL *ssl)
{
  const SSL_CTX *ctx = SSL_get_SSL_CTX(ssl);
  const struct wr_tls *tls = SSL_CTX_get_app_data(ctx);
  for (size_t i = 0; i < tls->count; i++) {
    if (tls->identities[i].ctx == ctx) return (int)i;
  }
  WR_UNREACHABLE("a connection's context is one of its listener's");
}

static int on_server_name(SSL *ssl,
                          int *alert, // NOLINT(readability-non-const-parameter): OpenSSL's type
                          void *arg)
{
  (void)alert;
  const struct wr_tls *tls = arg;
  const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  int found = name ? wr_tls_find(tls, wr_str_of(name)) : -1;
  if (found > 0) SSL_set_SSL_CTX(ssl, tls->identities[found].ctx);
  return SSL_TLSEXT_ERR_OK;
}

// RFC 7301 3.2: a client that offers only what we do not speak is told so. One that offers nothing
// does not come by here.
static int on_protocols(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                        const unsigned char *in, unsigned in_len, void *arg)
{
  (void)ssl;
  const struct wr_tls *tls = arg;
  unsigned char *chosen = NULL;
  int rc = SSL_select_next_proto(&chosen, out_len, tls->alpn, tls->alpn_len, in, in_len);
  *out = chosen;
  return rc == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

// Session tickets

static int arm(const struct wr_session_key *key, const unsigned char *iv, EVP_CIPHER_CTX *cipher,
               EVP_MAC_CTX *mac, bool is_sealing)
{
  char digest[] = "SHA256";
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key->mac, sizeof(key->mac)),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_end(),
  };
  if (EVP_MAC_CTX_set_params(mac, params) != 1) return -1;
  if (EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->aes, iv, is_sealing) != 1) return -1;
  return 1;
}

// Seals with the newest key, opens with that or the one before: then the client gets a new ticket.
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int is_sealing)
{
  const struct wr_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
  struct wr_session_key keys[WR_SESSION_KEYS];
  size_t count = wr_session_keys_read(tls->keys, keys);
  int result = is_sealing ? -1 : 0;
  int iv_len = EVP_CIPHER_get_iv_length(EVP_aes_256_cbc());
  if (is_sealing && count > 0 && RAND_bytes(iv, iv_len) == 1) {
    memcpy(name, keys[0].name, sizeof(keys[0].name));
    result = arm(&keys[0], iv, cipher, mac, true);
  }
  for (size_t i = 0; !is_sealing && i < count; i++) {
    if (memcmp(name, keys[i].name, sizeof(keys[i].name)) != 0) continue;
    result = arm(&keys[i], iv, cipher, mac, false);
    if (result == 1 && i > 0) result = 2;
    break;
  }
  OPENSSL_cleanse(keys, sizeof(keys));
  return result;
}

// Sessions of other rules are not taken up again: who was verified by another CA, or not at all,
// has to be verified.
static void name_sessions(struct wr_tls *tls, const struct wr_tls_options *o)
{
  unsigned char rules[2] = {(unsigned char)o->client_auth, (unsigned char)(o->min_version & 0xff)};
  EVP_MD_CTX *md = EVP_MD_CTX_new();
  EVP_DigestInit_ex(md, EVP_sha256(), NULL);
  EVP_DigestUpdate(md, rules, sizeof(rules));
  EVP_DigestUpdate(md, o->client_ca.text.ptr, o->client_ca.text.len);
  EVP_DigestFinal_ex(md, tls->session_id, &tls->session_id_len);
  EVP_MD_CTX_free(md);
  if (tls->session_id_len > SSL_MAX_SID_CTX_LENGTH) tls->session_id_len = SSL_MAX_SID_CTX_LENGTH;
}

// Making

static void set_clients(const struct wr_tls *tls, SSL_CTX *ctx)
{
  if (tls->store == NULL) return;
  SSL_CTX_set_verify(ctx, tls->verify_mode, NULL);
  SSL_CTX_set1_cert_store(ctx, tls->store);
  SSL_CTX_set_client_CA_list(ctx, SSL_dup_CA_list(tls->names_of_ca));
}

static void set_rules(struct wr_tls *tls, SSL_CTX *ctx)
{
  // Of the context and not of each connection, which would take memory for it.
  SSL_CTX_set_app_data(ctx, tls);
  SSL_CTX_set_min_proto_version(ctx, tls->min_version);
  SSL_CTX_set_cipher_list(ctx, ciphers);
  SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384");
  SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                               SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
  SSL_CTX_set_tlsext_servername_arg(ctx, tls);
  SSL_CTX_set_alpn_select_cb(ctx, on_protocols, tls);
  SSL_CTX_set_session_id_context(ctx, tls->session_id, tls->session_id_len);
  if (tls->keys) {
    SSL_CTX_set_timeout(ctx, (long)(tls->keys->period_ns / WR_SECOND) + 1);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
  } else {
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(ctx, 0);
  }
  set_clients(tls, ctx);
}

static bool read_clients(struct wr_tls *tls, const struct wr_tls_options *o, struct wr_error *error)
{
  if (o->client_auth == WR_TLS_CLIENT_NONE) return true;
  tls->store = wr_tls_certificate_store(&o->client_ca, &tls->names_of_ca, error);
  tls->verify_mode = SSL_VERIFY_PEER;
  if (o->client_auth == WR_TLS_CLIENT_REQUIRED) tls->verify_mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  return tls->store != NULL;
}

static bool has_kind(const struct identity *id, int kind)
{
  for (size_t i = 0; i < id->count; i++) {
    if (id->kinds[i] == kind) return true;
  }
  return false;
}

// The identity that a certificate goes to: one of the same names without a key of this kind, so
// that a client gets the kind it prefers, or a new one.
static struct identity *place(struct wr_tls *tls, const struct wr_tls_certificate *c, int kind)
{
  for (size_t i = 0; i < tls->count; i++) {
    struct identity *id = &tls->identities[i];
    bool fits = id->count < PAIRS_OF_ONE && !has_kind(id, kind);
    if (fits && wr_tls_certificate_is_same(&id->first, c)) return id;
  }
  struct identity *id = &tls->identities[tls->count++];
  id->ctx = SSL_CTX_new(TLS_server_method());
  WR_CHECK(id->ctx != NULL);
  set_rules(tls, id->ctx);
  return id;
}

static void add_names(struct wr_tls *tls, const struct wr_tls_certificate *c, size_t number)
{
  for (size_t i = 0; i < c->name_count; i++) {
    struct wr_str name = wr_str_of(c->names[i]);
    // Of two certificates with one name the first is taken.
    if (by_name(tls, name) == NULL) {
      wr_map_put(&tls->names, name,
                 (void *)(uintptr_t)(number + 1)); // NOLINT(performance-no-int-to-ptr)
    }
  }
}

bool wr_tls_add(struct wr_tls *tls, const struct wr_tls_pair *pair, struct wr_error *error)
{
  struct wr_tls_certificate c;
  WR_CHECK(tls->count < tls->count_max);
  if (!wr_tls_certificate_load(&c, &pair->cert, &pair->key, tls->now_s, error)) return false;
  int kind = EVP_PKEY_get_base_id(c.key);
  struct identity *id = place(tls, &c, kind);
  bool ok = SSL_CTX_use_cert_and_key(id->ctx, c.leaf, c.key, c.chain, 1) == 1;
  if (!ok) {
    wr_error_set(error, WR_ERROR_INVALID, "certificate '%s': %s", pair->cert.path,
                 wr_tls_certificate_reason());
  }
  id->kinds[id->count++] = kind;
  add_names(tls, &c, (size_t)(id - tls->identities));
  int64_t end_s = wr_tls_certificate_end(c.leaf);
  if (tls->end_s == 0 || end_s < tls->end_s) tls->end_s = end_s;
  if (id->count == 1) {
    id->first = c;
  } else {
    wr_tls_certificate_fini(&c);
  }
  return ok;
}

void wr_tls_warm(void)
{
  unsigned char digest[EVP_MAX_MD_SIZE];
  EVP_Digest("", 0, digest, NULL, EVP_sha256(), NULL);
}

struct wr_tls *wr_tls_new(const struct wr_tls_options *o, struct wr_error *error)
{
  WR_CHECK(o->count > 0);
  struct wr_tls *tls = wr_alloc(sizeof(*tls));
  tls->refs = 1;
  tls->count_max = o->count;
  tls->identities = wr_alloc(o->count * sizeof(*tls->identities));
  tls->keys = o->keys;
  tls->now_s = o->now_s;
  tls->min_version = o->min_version;
  tls->is_told = o->is_told;
  tls->alpn = (unsigned char *)wr_strndup((const char *)o->alpn, o->alpn_len);
  tls->alpn_len = o->alpn_len;
  struct wr_hash_key key;
  WR_CHECK(RAND_bytes((unsigned char *)&key, sizeof(key)) == 1);
  wr_map_init(&tls->names, key);
  name_sessions(tls, o);
  if (read_clients(tls, o, error)) return tls;
  wr_tls_unref(tls);
  return NULL;
}

struct wr_tls *wr_tls_ref(struct wr_tls *tls)
{
  tls->refs++;
  return tls;
}

void wr_tls_unref(struct wr_tls *tls)
{
  if (tls == NULL || --tls->refs > 0) return;
  for (size_t i = 0; i < tls->count; i++) {
    SSL_CTX_free(tls->identities[i].ctx);
    wr_tls_certificate_fini(&tls->identities[i].first);
  }
  sk_X509_NAME_pop_free(tls->names_of_ca, X509_NAME_free);
  X509_STORE_free(tls->store);
  wr_map_fini(&tls->names);
  wr_free(tls->identities);
  wr_free(tls->alpn);
  wr_free(tls);
}

SSL *wr_tls_begin(struct wr_tls *tls)
{
  SSL *ssl = SSL_new(tls->identities[0].ctx);
  WR_CHECK(ssl != NULL);
  SSL_set_accept_state(ssl);
  return ssl;
}

bool wr_tls_is_told(const struct wr_tls *tls)
{
  return tls->is_told;
}

int64_t wr_tls_end(const struct wr_tls *tls)
{
  return tls->end_s;
}
