#include "http/tls_certificate.h"

#include "base/alloc.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <time.h>

const char *wr_tls_certificate_reason(void)
{
  const char *reason = ERR_reason_error_string(ERR_peek_error());
  ERR_clear_error();
  return reason ? reason : "no reason given";
}

static BIO *open_text(const struct wr_tls_file *file)
{
  return BIO_new_mem_buf(file->text.ptr, (int)file->text.len);
}

static bool refuse(struct wr_error *error, const char *what, const struct wr_tls_file *file,
                   const char *why)
{
  wr_error_set(error, WR_ERROR_INVALID, "%s '%s': %s", what, file->path, why);
  ERR_clear_error();
  return false;
}

// Keys

// There is nobody to ask.
static int no_passphrase(char *to, // NOLINT(readability-non-const-parameter): OpenSSL's type
                         int size, int is_writing, void *asked)
{
  (void)to;
  (void)size;
  (void)is_writing;
  *(bool *)asked = true;
  return -1;
}

static bool read_key(struct wr_tls_certificate *c, const struct wr_tls_file *file,
                     struct wr_error *error)
{
  bool asked = false;
  BIO *text = open_text(file);
  c->key = PEM_read_bio_PrivateKey(text, NULL, no_passphrase, &asked);
  BIO_free(text);
  if (c->key) return true;
  return refuse(error, "key", file,
                asked ? "it is encrypted, and there is nobody to ask for the passphrase"
                      : "it holds no private key in PEM");
}

// Certificates

static X509 *next_certificate(BIO *text)
{
  X509 *x = PEM_read_bio_X509(text, NULL, NULL, NULL);
  // The end of the file is an error like others.
  if (x == NULL && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE) ERR_clear_error();
  return x;
}

static bool read_chain(struct wr_tls_certificate *c, const struct wr_tls_file *file,
                       struct wr_error *error)
{
  BIO *text = open_text(file);
  c->leaf = next_certificate(text);
  c->chain = sk_X509_new_null();
  X509 *x;
  while (c->leaf && (x = next_certificate(text)) != NULL) sk_X509_push(c->chain, x);
  BIO_free(text);
  if (c->leaf == NULL) return refuse(error, "certificate", file, "it holds no certificate in PEM");
  if (ERR_peek_error() == 0) return true;
  return refuse(error, "certificate", file, "one of its certificates is damaged");
}

int64_t wr_tls_certificate_end(const X509 *leaf)
{
  struct tm end;
  if (ASN1_TIME_to_tm(X509_get0_notAfter(leaf), &end) != 1) return 0;
  return (int64_t)timegm(&end);
}

static void write_time(const ASN1_TIME *when, char *out, size_t size)
{
  struct tm tm;
  out[0] = '\0';
  if (ASN1_TIME_to_tm(when, &tm) == 1) strftime(out, size, "%Y-%m-%d %H:%M:%S UTC", &tm);
}

static bool check_time(const X509 *x, const struct wr_tls_file *file, int64_t now_s,
                       struct wr_error *error)
{
  time_t now = (time_t)now_s;
  const ASN1_TIME *begin = X509_get0_notBefore(x);
  const ASN1_TIME *end = X509_get0_notAfter(x);
  char when[40];
  char why[64];
  if (X509_cmp_time(end, &now) < 0) {
    write_time(end, when, sizeof(when));
    snprintf(why, sizeof(why), "it expired at %s", when);
    return refuse(error, "certificate", file, why);
  }
  if (X509_cmp_time(begin, &now) > 0) {
    write_time(begin, when, sizeof(when));
    snprintf(why, sizeof(why), "it is not valid before %s", when);
    return refuse(error, "certificate", file, why);
  }
  return true;
}

// Names

static void add_name(struct wr_tls_certificate *c, const char *text, size_t len)
{
  // A NUL inside is somebody's attempt to be taken for another.
  if (len == 0 || memchr(text, '\0', len) != NULL) return;
  char *name = wr_strndup(text, len);
  for (size_t i = 0; i < len; i++) name[i] = wr_str_lower(name[i]);
  c->names = wr_realloc(c->names, (c->name_count + 1) * sizeof(*c->names));
  c->names[c->name_count++] = name;
}

static void add_address(struct wr_tls_certificate *c, const ASN1_OCTET_STRING *address)
{
  char text[INET6_ADDRSTRLEN];
  int family = ASN1_STRING_length(address) == 4 ? AF_INET : AF_INET6;
  if (inet_ntop(family, ASN1_STRING_get0_data(address), text, sizeof(text))) {
    add_name(c, text, strlen(text));
  }
}

static void read_names(struct wr_tls_certificate *c)
{
  GENERAL_NAMES *all = X509_get_ext_d2i(c->leaf, NID_subject_alt_name, NULL, NULL);
  for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);
    if (name->type == GEN_DNS) {
      const ASN1_IA5STRING *dns = name->d.dNSName;
      add_name(c, (const char *)ASN1_STRING_get0_data(dns), (size_t)ASN1_STRING_length(dns));
    } else if (name->type == GEN_IPADD) {
      add_address(c, name->d.iPAddress);
    }
  }
  GENERAL_NAMES_free(all);
  if (c->name_count > 0) return;
  // Certificates of old have their host in the subject alone.
  char text[256];
  int len =
      X509_NAME_get_text_by_NID(X509_get_subject_name(c->leaf), NID_commonName, text, sizeof(text));
  if (len > 0) add_name(c, text, (size_t)len);
}

bool wr_tls_certificate_is_same(const struct wr_tls_certificate *a,
                                const struct wr_tls_certificate *b)
{
  if (a->name_count != b->name_count) return false;
  for (size_t i = 0; i < a->name_count; i++) {
    if (strcmp(a->names[i], b->names[i]) != 0) return false;
  }
  return true;
}

// All of it

bool wr_tls_certificate_load(struct wr_tls_certificate *c, const struct wr_tls_file *cert,
                             const struct wr_tls_file *key, int64_t now_s, struct wr_error *error)
{
  *c = (struct wr_tls_certificate){0};
  ERR_clear_error();
  bool ok = read_chain(c, cert, error) && read_key(c, key, error) &&
            (now_s == 0 || check_time(c->leaf, cert, now_s, error));
  if (ok && X509_check_private_key(c->leaf, c->key) != 1) {
    wr_error_set(error, WR_ERROR_INVALID, "key '%s': it does not belong to certificate '%s'",
                 key->path, cert->path);
    ERR_clear_error();
    ok = false;
  }
  if (ok) {
    read_names(c);
  } else {
    wr_tls_certificate_fini(c);
  }
  return ok;
}

void wr_tls_certificate_fini(struct wr_tls_certificate *c)
{
  X509_free(c->leaf);
  sk_X509_pop_free(c->chain, X509_free);
  EVP_PKEY_free(c->key);
  for (size_t i = 0; i < c->name_count; i++) wr_free(c->names[i]);
  wr_free(c->names);
  *c = (struct wr_tls_certificate){0};
}

// Stores

X509_STORE *wr_tls_certificate_store(const struct wr_tls_file *file, STACK_OF(X509_NAME) * *names,
                                     struct wr_error *error)
{
  ERR_clear_error();
  BIO *text = open_text(file);
  X509_STORE *store = X509_STORE_new();
  size_t count = 0;
  X509 *x;
  while ((x = next_certificate(text)) != NULL) {
    X509_STORE_add_cert(store, x);
    if (names && *names == NULL) *names = sk_X509_NAME_new_null();
    if (names) sk_X509_NAME_push(*names, X509_NAME_dup(X509_get_subject_name(x)));
    X509_free(x);
    count++;
  }
  BIO_free(text);
  if (count > 0 && ERR_peek_error() == 0) return store;
  refuse(error, "CA file", file,
         count == 0 ? "it holds no certificate in PEM" : "one of its certificates is damaged");
  X509_STORE_free(store);
  if (names) sk_X509_NAME_pop_free(*names, X509_NAME_free);
  if (names) *names = NULL;
  return NULL;
}
