#pragma once
/// A named upstream: a group of endpoints, how to choose among them, and how to talk to them.
///
/// Settings of one generation, immutable after load; the endpoints behind it are the worker's. One
/// worker's loop.

#include "base/rng.h"
#include "upstream/balance.h"
#include "upstream/client_tls.h"
#include "upstream/endpoint.h"

/// Whose name the Host field bears.
enum wr_upstream_host { WR_HOST_ENDPOINT, WR_HOST_CLIENT };

/// An endpoint as it is declared.
struct wr_upstream_member {
  struct wr_str url;
  struct wr_str zone; ///< where it stands; "" when that is not said
  uint32_t weight;    ///< 1 … WR_BALANCE_WEIGHT_MAX
};

/// What keeps a client's calls at one endpoint, for the rules that hash.
enum wr_upstream_key_kind {
  WR_UPSTREAM_KEY_NONE, ///< a script says it with each call, or nobody does
  WR_UPSTREAM_KEY_CLIENT,
  WR_UPSTREAM_KEY_HEADER,
  WR_UPSTREAM_KEY_COOKIE,
  WR_UPSTREAM_KEY_PARAM,
};

struct wr_upstream_key {
  enum wr_upstream_key_kind kind;
  char *name; ///< of the header, cookie or path parameter; NULL for the others
};

struct wr_upstream {
  char *name; ///< read-only
  char *zone; ///< where this process stands; NULL: no endpoint is nearer than another
  struct wr_balance balance;
  struct wr_upstream_key key;
  double panic; ///< share of usable endpoints below which nobody counts as out; 0: never
  enum wr_upstream_host host;
  uint64_t pool_idle_ns;  ///< a connection idle for longer is not used again; 0: the transport's
  bool keeps_fresh;       ///< what may be sent once only rides no pooled connection, however young
  uint64_t connect_ns;    ///< limit for resolve, connect and TLS
  uint64_t first_byte_ns; ///< limit from the request's end to the response head; 0 leaves it to the
                          ///< policy
  uint64_t between_bytes_ns; ///< limit between two pieces of response body
  struct wr_client_tls *tls; ///< owned; NULL: nothing beyond the transport's rules
  size_t refs;               // private: the script's handle and fetches under way
};

/// An upstream without endpoints; `refs` is 1.
struct wr_upstream *wr_upstream_new(struct wr_str name, const struct wr_balance_config *config);

/// Drops a reference; the last one puts the endpoints back.
void wr_upstream_unref(struct wr_upstream *u, struct wr_endpoints *e);

/// Gives it these endpoints. False with a set error, and nothing has changed, when a URL is bad or
/// double, or there are too many.
bool wr_upstream_set(struct wr_upstream *u, struct wr_endpoints *e,
                     const struct wr_upstream_member *members, size_t count,
                     struct wr_error *error);

/// The verdict of a health check about the endpoint number `at`. True when it is a new one.
bool wr_upstream_mark(struct wr_upstream *u, size_t at, bool is_healthy);

/// Chooses an endpoint, see `wr_balance_pick`, for an attempt that begins now and ends with
/// `wr_upstream_report`. NULL with a set error: `no_endpoint` when all are out, `refused` when all
/// that may be used have as many attempts under way as the pool allows.
struct wr_endpoint *wr_upstream_pick(struct wr_upstream *u, const struct wr_balance_ask *ask,
                                     struct wr_error *error);

/// How an attempt ended.
struct wr_upstream_report {
  uint64_t now_ns;
  uint64_t started_ns;
  uint64_t head_ns;        ///< when the response head came; 0: it did not
  enum wr_error_kind kind; ///< NONE: the response is complete
  int status;              ///< 0 without a head
};

/// Ends an attempt at an endpoint that `wr_upstream_pick` chose.
void wr_upstream_report(struct wr_upstream *u, struct wr_endpoint *endpoint,
                        const struct wr_upstream_report *report);
