#include "script/identity.h"

static bool is_claim(struct wr_str name)
{
  switch (name.len > 0 ? wr_str_lower(name.ptr[0]) : '\0') {
  case 'c':
    return wr_str_eq_nocase(name, WR_STR("Client-Cert")) ||
           wr_str_eq_nocase(name, WR_STR("Client-Cert-Chain"));
  case 'x':
    return wr_str_begins_nocase(name, WR_STR("X-Client-Cert")) ||
           wr_str_begins_nocase(name, WR_STR("X-SSL-Client-")) ||
           wr_str_eq_nocase(name, WR_STR("X-Forwarded-Client-Cert"));
  default: return false;
  }
}

void wr_identity_strip(struct wr_headers *h)
{
  size_t kept = 0;
  for (size_t i = 0; i < h->count; i++) {
    if (!is_claim(h->items[i].name)) h->items[kept++] = h->items[i];
  }
  h->count = kept;
}

void wr_identity_tell(struct wr_headers *out, const struct wr_tls_facts *tls)
{
  if (tls == NULL || tls->client == NULL || !tls->is_told) return;
  wr_headers_set_copy(out, WR_STR("Client-Cert"), wr_str_of(tls->client->field));
}
