#include "http/tls_client.h"

#include "base/alloc.h"
#include "base/buf.h"

#include <arpa/inet.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

enum { TEXT_MAX = 16 * 1024, NAMES_MAX = 100 };

// The content as a text of its own; the buffer is freed.
static char *take_text(struct wr_buf *b)
{
  char *text = wr_strndup(b->len > 0 ? wr_buf_head(b) : "", b->len);
  wr_buf_fini(b);
  return text;
}

static char *hex(const unsigned char *bytes, size_t len)
{
  struct wr_buf out;
  wr_buf_init(&out, TEXT_MAX);
  for (size_t i = 0; i < len; i++) wr_buf_printf(&out, "%02x", bytes[i]);
  return take_text(&out);
}

static char *name_text(const X509_NAME *name)
{
  struct wr_buf out;
  char *bytes = NULL;
  BIO *memory = BIO_new(BIO_s_mem());
  X509_NAME_print_ex(memory, name, 0, XN_FLAG_RFC2253);
  long len = BIO_get_mem_data(memory, &bytes);
  wr_buf_init(&out, TEXT_MAX);
  if (len > 0) wr_buf_append(&out, bytes, (size_t)len);
  BIO_free(memory);
  return take_text(&out);
}

static char *serial_text(const X509 *x)
{
  BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
  char *text = BN_bn2hex(number);
  char *copy = wr_strdup(text ? text : "");
  for (char *at = copy; *at; at++) *at = wr_str_lower(*at);
  OPENSSL_free(text);
  BN_free(number);
  return copy;
}

static void add_name(struct wr_tls_client *c, const char *kind, const char *text, size_t len)
{
  struct wr_buf out;
  // A NUL inside is somebody's attempt to be taken for another.
  if (len == 0 || len > TEXT_MAX / 2 || memchr(text, '\0', len) || c->name_count == NAMES_MAX) {
    return;
  }
  wr_buf_init(&out, TEXT_MAX);
  wr_buf_printf(&out, "%s:%.*s", kind, (int)len, text);
  c->names = wr_realloc(c->names, (c->name_count + 1) * sizeof(*c->names));
  c->names[c->name_count++] = take_text(&out);
}

static void add_general_name(struct wr_tls_client *c, const GENERAL_NAME *name)
{
  const char *kind = name->type == GEN_DNS     ? "dns"
                     : name->type == GEN_URI   ? "uri"
                     : name->type == GEN_EMAIL ? "email"
                                               : NULL;
  if (kind) {
    const ASN1_STRING *text = name->d.ia5;
    add_name(c, kind, (const char *)ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text));
  } else if (name->type == GEN_IPADD) {
    char text[INET6_ADDRSTRLEN];
    int family = ASN1_STRING_length(name->d.iPAddress) == 4 ? AF_INET : AF_INET6;
    inet_ntop(family, ASN1_STRING_get0_data(name->d.iPAddress), text, sizeof(text));
    add_name(c, "ip", text, strlen(text));
  }
}

static void read_names(struct wr_tls_client *c, const X509 *x)
{
  GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
  for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
    add_general_name(c, sk_GENERAL_NAME_value(all, i));
  }
  GENERAL_NAMES_free(all);
}

// RFC 9440 2.2: the certificate's DER as a byte sequence of structured fields.
static char *field_text(X509 *x)
{
  unsigned char *der = NULL;
  int len = i2d_X509(x, &der);
  if (len <= 0) return wr_strdup("");
  size_t size = (size_t)(len + 2) / 3 * 4;
  char *text = wr_alloc(size + 3);
  text[0] = ':';
  EVP_EncodeBlock((unsigned char *)text + 1, der, len);
  text[size + 1] = ':';
  OPENSSL_free(der);
  return text;
}

struct wr_tls_client *wr_tls_client_read(X509 *x)
{
  struct wr_tls_client *c = wr_alloc(sizeof(*c));
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned len = 0;
  X509_digest(x, EVP_sha256(), digest, &len);
  c->subject = name_text(X509_get_subject_name(x));
  c->issuer = name_text(X509_get_issuer_name(x));
  c->serial = serial_text(x);
  c->fingerprint = hex(digest, len);
  c->field = field_text(x);
  read_names(c, x);
  return c;
}

void wr_tls_client_free(struct wr_tls_client *c)
{
  if (c == NULL) return;
  for (size_t i = 0; i < c->name_count; i++) wr_free(c->names[i]);
  wr_free(c->names);
  wr_free(c->subject);
  wr_free(c->issuer);
  wr_free(c->serial);
  wr_free(c->fingerprint);
  wr_free(c->field);
  wr_free(c);
}
