#pragma once
/// A named upstream: a group of endpoints, how to choose among them, and how to talk to them.
///
/// Settings of one generation, immutable after load; the endpoints behind it are the worker's. One
/// worker's loop.

#include "base/rng.h"
#include "upstream/endpoint.h"

enum wr_balance { WR_BALANCE_LEAST_REQUEST, WR_BALANCE_ROUND_ROBIN, WR_BALANCE_RANDOM };

enum { WR_UPSTREAM_ENDPOINTS_MAX = 64 };

/// Whose name the Host field bears.
enum wr_upstream_host { WR_HOST_ENDPOINT, WR_HOST_CLIENT };

struct wr_upstream {
  char *name; ///< read-only
  struct wr_endpoint *endpoints[WR_UPSTREAM_ENDPOINTS_MAX];
  size_t count;
  enum wr_balance balance;
  enum wr_upstream_host host;
  uint32_t pool_max;      ///< attempts at once to one endpoint from this worker; 0: no limit
  uint64_t pool_idle_ns;  ///< a connection idle for longer is not used again; 0: the transport's
  uint64_t connect_ns;    ///< limit for resolve, connect and TLS
  uint64_t first_byte_ns; ///< limit from the request's end to the response head; 0 leaves it to the
                          ///< policy
  uint64_t between_bytes_ns; ///< limit between two pieces of response body
  size_t next;               // private: round robin
  size_t refs;               // private: the script's handle and fetches under way
};

/// An upstream without endpoints; `refs` is 1.
struct wr_upstream *wr_upstream_new(struct wr_str name);

/// Drops a reference; the last one puts the endpoints back.
void wr_upstream_unref(struct wr_upstream *u, struct wr_endpoints *e);

/// Adds an endpoint by URL. False with a set error when the URL is bad, double, or one too many.
bool wr_upstream_add(struct wr_upstream *u, struct wr_endpoints *e, struct wr_str url,
                     struct wr_error *error);

/// Chooses an endpoint and sets its bit in `tried`. Those with `pool_max` attempts under way are
/// out: NULL when that is all of them. Avoided while others are left, in this order of importance:
/// endpoints whose bit is set in `tried`, whose health check says no, and whose last connect failed
/// less than a quarter of a second ago (a refused connect is cheap for us, not for a host that is
/// coming up).
///
/// least_request is the power of two choices (Mitzenmacher 2001): two draws, the one with fewer
/// attempts in flight.
struct wr_endpoint *wr_upstream_pick(struct wr_upstream *u, struct wr_rng *rng, uint64_t now_ns,
                                     uint64_t *tried);

/// Balance by name; false when there is none of that name.
bool wr_upstream_balance_find(struct wr_str name, enum wr_balance *out);
