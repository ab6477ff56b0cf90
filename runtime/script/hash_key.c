#include "script/hash_key.h"

// The value of `name` in a Cookie field (RFC 6265 4.2.1): pairs apart by semicolons.
static struct wr_str find_pair(struct wr_str pairs, struct wr_str name)
{
  while (pairs.len > 0) {
    const char *end = memchr(pairs.ptr, ';', pairs.len);
    size_t len = end ? (size_t)(end - pairs.ptr) : pairs.len;
    struct wr_str pair = wr_str_trim((struct wr_str){pairs.ptr, len});
    if (pair.len > name.len && pair.ptr[name.len] == '=' &&
        memcmp(pair.ptr, name.ptr, name.len) == 0) {
      return (struct wr_str){pair.ptr + name.len + 1, pair.len - name.len - 1};
    }
    if (end == NULL) break;
    pairs = (struct wr_str){end + 1, pairs.len - len - 1};
  }
  return (struct wr_str){NULL, 0};
}

// HTTP/2 may split cookies into several fields (RFC 9113 8.2.3).
static struct wr_str find_cookie(const struct wr_headers *headers, struct wr_str name)
{
  for (size_t i = 0; i < headers->count; i++) {
    if (!wr_str_eq_nocase(headers->items[i].name, WR_STR("Cookie"))) continue;
    struct wr_str value = find_pair(headers->items[i].value, name);
    if (value.ptr) return value;
  }
  return (struct wr_str){NULL, 0};
}

static struct wr_str find_param(const struct wr_request *q, struct wr_str name)
{
  for (size_t i = 0; i < q->param_count; i++) {
    if (wr_str_eq(q->params[i].name, name)) return q->params[i].value;
  }
  return (struct wr_str){NULL, 0};
}

struct wr_str wr_hash_key_of(const struct wr_upstream_key *key, const struct wr_request *q)
{
  struct wr_str name = key->name ? wr_str_of(key->name) : WR_STR("");
  switch (key->kind) {
  case WR_UPSTREAM_KEY_CLIENT: return q->client;
  case WR_UPSTREAM_KEY_HEADER: return wr_headers_get(&q->info->head->headers, name);
  case WR_UPSTREAM_KEY_COOKIE: return find_cookie(&q->info->head->headers, name);
  case WR_UPSTREAM_KEY_PARAM: return find_param(q, name);
  case WR_UPSTREAM_KEY_NONE: break;
  }
  return (struct wr_str){NULL, 0};
}
