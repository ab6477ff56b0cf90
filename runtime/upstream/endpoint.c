#include "upstream/endpoint.h"

#include "base/alloc.h"
#include "base/check.h"
#include "upstream/dns.h"

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

static char *copy(struct wr_str s)
{
  return wr_strndup(s.ptr, s.len);
}

// "http://name:port/path#10.0.0.1" apart.
struct parts {
  struct wr_uri uri;
  struct wr_str address; // numeric; "" without one
};

static bool read_parts(struct wr_str url, struct wr_region *region, struct parts *out,
                       struct wr_error *error)
{
  const char *reason = "it has a query";
  const char *hash = memchr(url.ptr, '#', url.len);
  struct wr_str base = {url.ptr, hash ? (size_t)(hash - url.ptr) : url.len};
  struct wr_dns_address address;
  out->address = hash ? (struct wr_str){hash + 1, url.len - base.len - 1} : WR_STR("");
  if (hash && !wr_dns_numeric(out->address, &address)) {
    reason = "behind '#' stands a numeric address";
  } else if (wr_uri_parse(&out->uri, base, region, &reason) && out->uri.query.ptr == NULL) {
    return true;
  }
  wr_error_set(error, WR_ERROR_INVALID, "'%.*s' is not an endpoint URL: %s", WR_STR_ARG(url),
               reason);
  return false;
}

static struct wr_endpoint *make(struct wr_str url, const struct parts *parts)
{
  const struct wr_uri *uri = &parts->uri;
  struct wr_endpoint *endpoint = wr_alloc(sizeof(*endpoint));
  struct wr_str prefix = uri->path;
  while (prefix.len > 0 && prefix.ptr[prefix.len - 1] == '/') prefix.len--;
  endpoint->url = copy(url);
  endpoint->is_https = uri->is_https;
  endpoint->host = copy(parts->address.len > 0 ? parts->address : uri->host);
  endpoint->authority = copy(uri->authority);
  endpoint->prefix = copy(prefix);
  endpoint->port = uri->port;
  return endpoint;
}

bool wr_endpoint_check(struct wr_str url, struct wr_error *error)
{
  struct wr_region region;
  struct parts parts;
  wr_region_init(&region, URL_REGION_MAX);
  bool ok = read_parts(url, &region, &parts, error);
  wr_region_fini(&region);
  return ok;
}

struct wr_endpoint *wr_endpoint_get(struct wr_endpoints *e, struct wr_str url,
                                    struct wr_error *error)
{
  struct wr_endpoint *endpoint = wr_map_get(&e->by_url, url);
  if (endpoint == NULL) {
    struct wr_region region;
    struct parts parts;
    wr_region_init(&region, URL_REGION_MAX);
    if (read_parts(url, &region, &parts, error)) {
      endpoint = make(url, &parts);
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
