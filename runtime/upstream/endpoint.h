#pragma once
/// Endpoints: the addresses behind an upstream, with what this worker knows about each.
///
/// Identity is the URL. The table belongs to the worker, not to a generation, so in-flight counts
/// and recent failures live through a reload. One worker's loop.

#include "base/error.h"
#include "base/map.h"
#include "http/uri.h"
#include "upstream/ewma.h"

struct wr_endpoint {
  char *url; ///< read-only: as declared, the identity
  bool is_https;
  char *host;      ///< read-only: where to connect, as in a `wr_transfer_request`
  char *authority; ///< read-only: for Host and SNI
  char *prefix; ///< read-only: path of the URL without a trailing slash, put before request targets
  uint16_t port;
  uint32_t refs;          ///< counted: places in upstreams, and attempts under way
  uint32_t in_flight;     ///< attempts under way from this worker
  uint64_t failed_at_ns;  ///< last connect failure, 0 when the last connect worked
  struct wr_ewma latency; ///< of its attempts from this worker
};

struct wr_endpoints {
  struct wr_map by_url; // private
};

/// Starts empty; `key` should be random.
void wr_endpoints_init(struct wr_endpoints *e, struct wr_hash_key key);

/// Frees the table; every endpoint must have been put back.
void wr_endpoints_fini(struct wr_endpoints *e);

/// Reads an endpoint's URL: "http://name:port/prefix"; with a numeric address as its fragment, the
/// connection goes there, while Host field and certificate have the name; or
/// "http://unix:/run/app.sock:/prefix", where the Host field is "localhost" and the prefix may be
/// left out with its colon. In `out`, `host` is where to connect, as in a `wr_transfer_request`,
/// and `path` the prefix without a trailing slash; slices are of `url` and of the region. False
/// with a set error (`invalid`) for anything else: a query, user info, a zone id, a socket's path
/// of more than WR_TRANSFER_PATH_MAX bytes.
bool wr_endpoint_read(struct wr_str url, struct wr_region *region, struct wr_uri *out,
                      struct wr_error *error);

/// The endpoint of that URL, made when it is new. NULL with a set error (`invalid`) for a bad URL,
/// see `wr_endpoint_read`. Give it back with `wr_endpoint_put`.
struct wr_endpoint *wr_endpoint_get(struct wr_endpoints *e, struct wr_str url,
                                    struct wr_error *error);

/// Whether that URL may be one; sets the error if not.
bool wr_endpoint_check(struct wr_str url, struct wr_error *error);

/// One reference less; the last one frees it.
void wr_endpoint_put(struct wr_endpoints *e, struct wr_endpoint *endpoint);
