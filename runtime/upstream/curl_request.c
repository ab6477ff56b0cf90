#include "upstream/curl_request.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "upstream/transfer.h"

enum { LINE_MAX_BYTES = 64 * 1024 };

// Fields

static struct curl_slist *append(struct curl_slist *list, const char *line)
{
  struct curl_slist *grown = curl_slist_append(list, line);
  WR_CHECK(grown != NULL);
  return grown;
}

static struct curl_slist *append_field(struct curl_slist *list, struct wr_buf *line,
                                       struct wr_str name, struct wr_str value)
{
  wr_buf_clear(line);
  // "Name;" is how libcurl spells a field with an empty value.
  if (value.len == 0) {
    wr_buf_printf(line, "%.*s;", WR_STR_ARG(name));
  } else {
    wr_buf_printf(line, "%.*s: %.*s", WR_STR_ARG(name), WR_STR_ARG(value));
  }
  wr_buf_append(line, "", 1);
  return append(list, wr_buf_head(line));
}

static bool has(const struct wr_headers *headers, struct wr_str name)
{
  return headers != NULL && wr_headers_get(headers, name).ptr != NULL;
}

static struct curl_slist *build_fields(const struct wr_transfer_request *rq)
{
  struct wr_buf line;
  wr_buf_init(&line, LINE_MAX_BYTES + 16);
  struct curl_slist *list = append_field(NULL, &line, WR_STR("Host"), rq->authority);
  // A name with nothing behind it takes out what libcurl would add of its own.
  if (!has(rq->headers, WR_STR("Accept"))) list = append(list, "Accept:");
  list = append(list, "Expect:");
  for (size_t i = 0; rq->headers != NULL && i < rq->headers->count; i++) {
    const struct wr_header *h = &rq->headers->items[i];
    // The expectation is between the client and us; the body is here already or comes by `write`.
    if (wr_str_eq_nocase(h->name, WR_STR("Expect"))) continue;
    list = append_field(list, &line, h->name, h->value);
  }
  if (rq->takes_trailers) {
    // TE is for the next hop alone and has to be named as such; libcurl drops that in HTTP/2.
    list = append(list, "TE: trailers");
    list = append(list, "Connection: TE");
  }
  if (rq->body_kind == WR_TRANSFER_BODY_STREAM && !rq->has_length) {
    // Said outright, else libcurl refuses on a connection that once answered with HTTP/1.0.
    list = append(list, "Transfer-Encoding: chunked");
  } else if (rq->body_kind == WR_TRANSFER_BODY_NONE && wr_transfer_wants_length(rq->method)) {
    list = append(list, "Content-Length: 0");
  }
  wr_buf_fini(&line);
  return list;
}

// Options

static void set_str(CURL *easy, CURLoption option, struct wr_str value)
{
  char *text = wr_strndup(value.ptr, value.len);
  WR_CHECK(curl_easy_setopt(easy, option, text) == CURLE_OK);
  wr_free(text);
}

// Host and port of a URL name the connection in the pool, and the server in TLS: over TLS it is the
// authority's host; without TLS any Host may share the endpoint's connections.
static struct wr_str url_host(const struct wr_transfer_request *rq)
{
  if (!rq->is_https) return WR_STR("endpoint");
  if (rq->tls && rq->tls->server_name.len > 0) return rq->tls->server_name;
  struct wr_str host = rq->authority;
  const char *end = host.ptr[0] == '[' ? memchr(host.ptr, ']', host.len) : NULL;
  if (end == NULL) return wr_str_split(&host, ':');
  host.len = (size_t)(end - host.ptr) + 1;
  return host;
}

static void set_url(const struct wr_transfer_request *rq, CURL *easy)
{
  struct wr_buf url;
  wr_buf_init(&url, LINE_MAX_BYTES);
  struct wr_str host = url_host(rq);
  WR_CHECK(wr_buf_printf(&url, "%s://%.*s:%u/", rq->is_https ? "https" : "http", WR_STR_ARG(host),
                         (unsigned)rq->port));
  set_str(easy, CURLOPT_URL, wr_buf_str(&url));
  wr_buf_fini(&url);
}

static void set_method(const struct wr_transfer_request *rq, CURL *easy)
{
  if (wr_str_eq(rq->method, WR_STR("HEAD"))) {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    return;
  }
  set_str(easy, CURLOPT_CUSTOMREQUEST, rq->method);
  if (rq->body_kind == WR_TRANSFER_BODY_NONE) return;
  curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
  curl_off_t size = -1;
  if (rq->body_kind == WR_TRANSFER_BODY_BYTES) size = (curl_off_t)rq->body.len;
  if (rq->body_kind == WR_TRANSFER_BODY_STREAM && rq->has_length) size = (curl_off_t)rq->length;
  curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, size);
}

// libcurl counts whole seconds and lets pass what has not idled for more than it was told.
static long idle_seconds(const struct wr_transfer_request *rq,
                         const struct wr_transport_curl_options *options)
{
  uint64_t idle_s = (rq->pool_idle_ns ? rq->pool_idle_ns : options->idle_ns) / 1000000000u;
  return idle_s > 1 ? (long)idle_s - 1 : 0;
}

static void set_protocol(const struct wr_transfer_request *rq,
                         const struct wr_transport_curl_options *options, CURL *easy)
{
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
  curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
  curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, 0x7fffffffL); // ours is the limit that counts
  bool may_h2 = rq->is_https && rq->http != WR_TRANSFER_HTTP_1;
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                   may_h2 ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, idle_seconds(rq, options));
  // A request that may reach the endpoint at most once never rides a connection that may be dying.
  // Nor does one whose connection begins with a preamble: it serves this request alone.
  bool is_alone = rq->preamble.len > 0;
  bool may_reuse = rq->is_idempotent && !rq->is_fresh && !is_alone;
  curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, may_reuse ? 0L : 1L);
  if (is_alone) curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
}

static void set_blob(CURL *easy, CURLoption option, struct wr_str pem)
{
  struct curl_blob blob = {(void *)pem.ptr, pem.len, CURL_BLOB_COPY};
  if (pem.len > 0) WR_CHECK(curl_easy_setopt(easy, option, &blob) == CURLE_OK);
}

// From memory, as the bundle has them: a file that changes meanwhile changes nothing before a
// reload.
static void set_client_tls(const struct wr_client_tls *tls, CURL *easy)
{
  set_blob(easy, CURLOPT_CAINFO_BLOB, tls->ca);
  set_blob(easy, CURLOPT_SSLCERT_BLOB, tls->cert);
  set_blob(easy, CURLOPT_SSLKEY_BLOB, tls->key);
  if (!tls->skip_verify) return;
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
}

static void set_tls(const struct wr_transport_curl_options *options, CURL *easy)
{
  if (options->ca_file) curl_easy_setopt(easy, CURLOPT_CAINFO, options->ca_file);
  // Debian's libcurl looks into a directory too, and keeps roots in memory only where it does not:
  // else it reads all of them anew for each connection, while the loop stands.
  curl_easy_setopt(easy, CURLOPT_CAPATH, options->ca_path);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, options->skip_verify ? 0L : 1L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, options->skip_verify ? 0L : 2L);
}

struct curl_slist *wr_curl_request_apply(const struct wr_transfer_request *rq,
                                         const struct wr_transport_curl_options *options,
                                         CURL *easy)
{
  set_protocol(rq, options, easy);
  set_tls(options, easy);
  if (rq->tls) set_client_tls(rq->tls, easy);
  set_url(rq, easy);
  if (wr_transfer_is_path(rq->host)) set_str(easy, CURLOPT_UNIX_SOCKET_PATH, rq->host);
  set_str(easy, CURLOPT_REQUEST_TARGET, rq->target);
  set_method(rq, easy);
  struct curl_slist *fields = build_fields(rq);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fields);
  return fields;
}

struct curl_slist *wr_curl_request_route(CURL *easy, struct curl_slist *old,
                                         const struct wr_dns_address *address, uint16_t port)
{
  struct wr_buf line;
  wr_buf_init(&line, 128);
  wr_buf_printf(&line, address->is_ipv6 ? "::[%s]:%u" : "::%s:%u", address->text, (unsigned)port);
  wr_buf_append(&line, "", 1);
  struct curl_slist *route = append(NULL, wr_buf_head(&line));
  wr_buf_fini(&line);
  curl_easy_setopt(easy, CURLOPT_CONNECT_TO, route);
  curl_slist_free_all(old);
  return route;
}
