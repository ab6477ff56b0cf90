#include "upstream/client_tls.h"

#include "base/alloc.h"
#include "base/check.h"
#include "http/tls_origin.h"

_Static_assert((int)WR_CLIENT_TLS_DIGEST == (int)WR_TLS_ORIGIN_DIGEST, "the digest is OpenSSL's");

static bool check_ca(const struct wr_client_tls_options *o, struct wr_error *error)
{
  if (o->ca->path == NULL) return true;
  X509_STORE *store = wr_tls_certificate_store(o->ca, NULL, error);
  X509_STORE_free(store);
  return store != NULL;
}

static bool check_pair(const struct wr_client_tls_options *o, struct wr_error *error)
{
  struct wr_tls_certificate pair;
  if (o->cert->path == NULL) return true;
  if (!wr_tls_certificate_load(&pair, o->cert, o->key, o->now_s, error)) return false;
  wr_tls_certificate_fini(&pair);
  return true;
}

static struct wr_str copy(struct wr_str s)
{
  if (s.ptr == NULL) return s;
  return (struct wr_str){wr_strndup(s.ptr, s.len), s.len};
}

static struct wr_tls_origin_options options_of(const struct wr_client_tls *tls)
{
  return (struct wr_tls_origin_options){
      .ca = {"tls.ca", tls->ca},
      .cert = {"tls.cert", tls->cert},
      .key = {"tls.key", tls->key},
      .skip_verify = tls->skip_verify,
  };
}

struct wr_client_tls *wr_client_tls_new(const struct wr_client_tls_options *o,
                                        struct wr_error *error)
{
  if (!check_ca(o, error) || !check_pair(o, error)) return NULL;
  struct wr_client_tls *tls = wr_alloc(sizeof(*tls));
  tls->refs = 1;
  tls->ca = copy(o->ca->text);
  tls->cert = copy(o->cert->text);
  tls->key = copy(o->key->text);
  tls->server_name = copy(o->server_name);
  tls->skip_verify = o->skip_verify;
  struct wr_tls_origin_options all = options_of(tls);
  wr_tls_origin_digest(&all, tls->digest);
  return tls;
}

struct wr_tls_origin *wr_client_tls_origin(struct wr_client_tls *tls, struct wr_tls_roots *roots,
                                           struct wr_error *error)
{
  struct wr_tls_origin_options o = options_of(tls);
  o.roots = roots;
  if (tls->origin == NULL) tls->origin = wr_tls_origin_new(&o, error);
  return tls->origin;
}

struct wr_client_tls *wr_client_tls_ref(struct wr_client_tls *tls)
{
  tls->refs++;
  return tls;
}

void wr_client_tls_unref(struct wr_client_tls *tls)
{
  if (tls == NULL || --tls->refs > 0) return;
  wr_tls_origin_unref(tls->origin);
  if (tls->key.ptr) explicit_bzero((char *)tls->key.ptr, tls->key.len);
  wr_free((char *)tls->ca.ptr);
  wr_free((char *)tls->cert.ptr);
  wr_free((char *)tls->key.ptr);
  wr_free((char *)tls->server_name.ptr);
  wr_free(tls);
}
