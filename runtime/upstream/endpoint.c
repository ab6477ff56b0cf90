#include "upstream/endpoint.h"

#include "base/alloc.h"
#include "base/check.h"
#include "http/chars.h"
#include "upstream/dns.h"
#include "upstream/transport.h"

enum { URL_REGION_MAX = 16 * 1024 };

void wr_endpoints_init(struct wr_endpoints *e, struct wr_hash_key key)
{
  wr_map_init(&e->by_url, key);
}

void wr_endpoints_fini(struct wr_endpoints *e)
{
  WR_CHECK(e->by_url.count == 0);
  wr_map_fini(&e->by_url);
}

// Reading URLs

static bool refuse(struct wr_error *error, struct wr_str url, const char *reason)
{
  wr_error_set(error, WR_ERROR_INVALID, "'%.*s' is not an endpoint URL: %s", WR_STR_ARG(url),
               reason);
  return false;
}

static bool take(struct wr_str *s, struct wr_str prefix)
{
  if (s->len < prefix.len || !wr_str_eq_nocase((struct wr_str){s->ptr, prefix.len}, prefix)) {
    return false;
  }
  *s = (struct wr_str){s->ptr + prefix.len, s->len - prefix.len};
  return true;
}

// What stands behind "http://unix:": a path and, behind another colon, a prefix.
static bool read_socket(struct wr_str url, struct wr_str rest, struct wr_uri *out,
                        struct wr_error *error)
{
  bool is_plain =
      wr_chars_skip(rest.ptr, rest.ptr + rest.len, WR_CHARS_TARGET) == rest.ptr + rest.len &&
      memchr(rest.ptr, '?', rest.len) == NULL;
  out->path = rest;
  out->host = wr_str_split(&out->path, ':');
  out->authority = WR_STR("localhost");
  out->port = out->is_https ? 443 : 80;
  if (!is_plain) return refuse(error, url, "a socket's path has no '?', no '#' and no space");
  if (out->host.len > WR_TRANSFER_PATH_MAX) {
    wr_error_set(error, WR_ERROR_INVALID,
                 "'%.60s…' is not an endpoint URL: a Unix socket's path has at most %d bytes, this "
                 "one has %zu",
                 url.ptr, WR_TRANSFER_PATH_MAX, out->host.len);
    return false;
  }
  if (out->path.ptr == NULL) out->path = WR_STR("/");
  if (out->path.len > 0 && out->path.ptr[0] == '/') return true;
  return refuse(error, url, "behind a socket's path and ':' stands a path that begins with '/'");
}

static bool read_network(struct wr_str url, struct wr_region *region, struct wr_uri *out,
                         struct wr_error *error)
{
  const char *reason;
  const char *hash = memchr(url.ptr, '#', url.len);
  struct wr_str base = {url.ptr, hash ? (size_t)(hash - url.ptr) : url.len};
  struct wr_dns_address numeric;
  struct wr_str address = {url.ptr + base.len + 1, hash ? url.len - base.len - 1 : 0};
  if (hash && !wr_dns_numeric(address, &numeric)) {
    return refuse(error, url, "behind '#' stands a numeric address");
  }
  if (!wr_uri_parse(out, base, region, &reason)) return refuse(error, url, reason);
  if (out->query.ptr != NULL) return refuse(error, url, "it has a query");
  if (hash) out->host = address;
  return true;
}

bool wr_endpoint_read(struct wr_str url, struct wr_region *region, struct wr_uri *out,
                      struct wr_error *error)
{
  struct wr_str rest = url;
  *out = (struct wr_uri){.is_https = take(&rest, WR_STR("https://"))};
  bool has_scheme = out->is_https || take(&rest, WR_STR("http://"));
  bool is_socket = has_scheme && take(&rest, WR_STR("unix:")) && rest.len > 0 && rest.ptr[0] == '/';
  bool ok = is_socket ? read_socket(url, rest, out, error) : read_network(url, region, out, error);
  if (!ok) return false;
  while (out->path.len > 0 && out->path.ptr[out->path.len - 1] == '/') out->path.len--;
  return true;
}

// The table

static char *copy(struct wr_str s)
{
  return wr_strndup(s.ptr, s.len);
}

static struct wr_endpoint *make(struct wr_str url, const struct wr_uri *uri)
{
  struct wr_endpoint *endpoint = wr_alloc(sizeof(*endpoint));
  endpoint->url = copy(url);
  endpoint->is_https = uri->is_https;
  endpoint->host = copy(uri->host);
  endpoint->authority = copy(uri->authority);
  endpoint->prefix = copy(uri->path);
  endpoint->port = uri->port;
  return endpoint;
}

bool wr_endpoint_check(struct wr_str url, struct wr_error *error)
{
  struct wr_region region;
  struct wr_uri uri;
  wr_region_init(&region, URL_REGION_MAX);
  bool ok = wr_endpoint_read(url, &region, &uri, error);
  wr_region_fini(&region);
  return ok;
}

struct wr_endpoint *wr_endpoint_get(struct wr_endpoints *e, struct wr_str url,
                                    struct wr_error *error)
{
  struct wr_endpoint *endpoint = wr_map_get(&e->by_url, url);
  if (endpoint == NULL) {
    struct wr_region region;
    struct wr_uri uri;
    wr_region_init(&region, URL_REGION_MAX);
    if (wr_endpoint_read(url, &region, &uri, error)) {
      endpoint = make(url, &uri);
      wr_map_put(&e->by_url, url, endpoint);
    }
    wr_region_fini(&region);
    if (endpoint == NULL) return NULL;
  }
  endpoint->refs++;
  return endpoint;
}

void wr_endpoint_put(struct wr_endpoints *e, struct wr_endpoint *endpoint)
{
  WR_CHECK(endpoint->refs > 0);
  if (--endpoint->refs > 0) return;
  wr_map_remove(&e->by_url, wr_str_of(endpoint->url));
  wr_free(endpoint->url);
  wr_free(endpoint->host);
  wr_free(endpoint->authority);
  wr_free(endpoint->prefix);
  wr_free(endpoint);
}
