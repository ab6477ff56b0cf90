#include "upstream/client_tls.h"

#include "base/alloc.h"
#include "http/tls_certificate.h"

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

struct wr_client_tls *wr_client_tls_new(const struct wr_client_tls_options *o,
                                        struct wr_error *error)
{
  if (!check_ca(o, error) || !check_pair(o, error)) return NULL;
  struct wr_client_tls *tls = wr_alloc(sizeof(*tls));
  tls->ca = copy(o->ca->text);
  tls->cert = copy(o->cert->text);
  tls->key = copy(o->key->text);
  tls->server_name = copy(o->server_name);
  tls->skip_verify = o->skip_verify;
  return tls;
}

void wr_client_tls_free(struct wr_client_tls *tls)
{
  if (tls == NULL) return;
  if (tls->key.ptr) explicit_bzero((char *)tls->key.ptr, tls->key.len);
  wr_free((char *)tls->ca.ptr);
  wr_free((char *)tls->cert.ptr);
  wr_free((char *)tls->key.ptr);
  wr_free((char *)tls->server_name.ptr);
  wr_free(tls);
}
