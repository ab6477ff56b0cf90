#include "admin/assets.h"

#include <stdio.h>

#define POLICY                                                                                     \
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "   \
  "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

const struct wr_asset *wr_asset_find(struct wr_str path)
{
  if (wr_str_eq(path, WR_STR("/"))) path = WR_STR("/dashboard/index.html");
  if (path.len == 0) return NULL;
  struct wr_str wanted = {path.ptr + 1, path.len - 1};
  for (const struct wr_asset *a = wr_assets; a->path != NULL; a++) {
    if (wr_str_eq(wanted, wr_str_of(a->path))) return a;
  }
  return NULL;
}

void wr_asset_reply(struct wr_exchange *x, const char *type, struct wr_str text)
{
  char full[64];
  struct wr_headers headers;
  snprintf(full, sizeof(full), "%s; charset=utf-8", type);
  wr_headers_init(&headers, wr_exchange_info(x)->region, 8);
  wr_headers_add(&headers, WR_STR("Content-Type"), wr_str_of(full));
  // With the binary, pages change.
  wr_headers_add(&headers, WR_STR("Cache-Control"), WR_STR("no-store"));
  wr_headers_add(&headers, WR_STR("Content-Security-Policy"), WR_STR(POLICY));
  wr_headers_add(&headers, WR_STR("X-Content-Type-Options"), WR_STR("nosniff"));
  wr_headers_add(&headers, WR_STR("Referrer-Policy"), WR_STR("same-origin"));
  wr_exchange_reply(x, 200, &headers, text);
}

void wr_asset_serve(const struct wr_asset *asset, struct wr_exchange *x)
{
  wr_asset_reply(x, asset->type, (struct wr_str){asset->text, asset->len});
}
