#pragma once
/// A named upstream: a group of endpoints, how to choose among them, and how to talk to them.
///
/// Settings of one generation, immutable after load. Who the endpoints are and how they do is in
/// the roster, which all workers share; here is this worker's copy of it, brought up to date when
/// one is chosen, and the endpoints' own state (of the worker) behind it. One worker's loop.

#include "arena/registry.h"
#include "base/list.h"
#include "base/rng.h"
#include "upstream/balance.h"
#include "upstream/client_tls.h"
#include "upstream/endpoint.h"
#include "upstream/roster.h"
#include "upstream/transport.h"

/// Whose name the Host field bears.
enum wr_upstream_host { WR_HOST_ENDPOINT, WR_HOST_CLIENT };

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

/// Where it keeps what outlives it. All borrowed.
struct wr_upstream_home {
  struct wr_endpoints *endpoints;
  struct wr_registry *registry;
};

/// A place of the balance in the roster. Private.
struct wr_upstream_place {
  uint32_t row;
  uint32_t shown;    // attempts under way, as the gauge has it
  uint64_t since_ns; // attempts begun before say nothing
  bool is_ejected, is_unhealthy;
  char zone[WR_ROSTER_ZONE_MAX];
  struct wr_roster_seen seen;
};

struct wr_upstream {
  char *name;          ///< read-only
  const char *word;    ///< the name as the meter's word, by who counts; NULL before the first call
  char *zone;          ///< where this process stands; NULL: no endpoint is nearer than another
  struct wr_list link; ///< in the script's list
  struct wr_upstream_home home;
  struct wr_entry *entry; ///< the roster; set it by wr_upstream_enlist
  struct wr_balance balance;
  struct wr_upstream_place *places; ///< private: as the balance's
  struct wr_upstream_key key;
  enum wr_upstream_host host;
  uint64_t pool_idle_ns;  ///< a connection idle for longer is not used again; 0: the transport's
  bool keeps_fresh;       ///< what may be sent once only rides no pooled connection, however young
  uint64_t connect_ns;    ///< limit for resolve, connect and TLS
  uint64_t first_byte_ns; ///< limit from the request's end to the response head; 0 leaves it to the
                          ///< policy
  enum wr_transfer_http http;
  int proxy_version;               ///< of the PROXY header that connections begin with; 0: none
  char *upgrade;                   ///< protocols that a client may go on in: "websocket,x"; NULL
  uint64_t tunnel_idle_ns;         ///< limit of a tunnel without a byte in either direction
  uint64_t tunnel_total_ns;        ///< limit of a tunnel
  struct wr_client_tls *tls;       ///< owned; NULL: nothing beyond the transport's rules
  uint64_t between_bytes_ns;       ///< limit between two pieces of response body
  struct wr_entry_ref ref;         // private: of `entry`
  struct wr_roster_wanted *wanted; // private: the declared endpoints
  size_t wanted_count;
  uint64_t declared; // private: their hash
  uint64_t version;  // private: of the copy
  size_t refs;       // private: the script's handle and fetches under way
};

/// An upstream without endpoints; `refs` is 1.
struct wr_upstream *wr_upstream_new(struct wr_str name, const struct wr_balance_config *config,
                                    const struct wr_upstream_home *home);

/// Drops a reference; the last one puts the endpoints back.
void wr_upstream_unref(struct wr_upstream *u);

/// Declares its endpoints; they are in force when it is the live generation's. Strings are copied.
/// `source` tells where others are found out, and is part of the declaration.
/// False with a set error, and nothing has changed, when a URL is bad or double, or there are too
/// many.
bool wr_upstream_want(struct wr_upstream *u, const struct wr_roster_wanted *wanted, size_t count,
                      struct wr_str source, struct wr_error *error);

/// Whether these may be endpoints; sets the error if not.
bool wr_upstream_check(const struct wr_roster_wanted *wanted, size_t count, struct wr_error *error);

/// The entry that has its roster.
void wr_upstream_enlist(struct wr_upstream *u, struct wr_entry *entry);

/// Takes the roster's lock: the roster, or NULL when it is gone; then give the lock back. What was
/// changed is planned and told.
struct wr_roster *wr_upstream_lock(struct wr_upstream *u, uint64_t now_ns);
void wr_upstream_unlock(struct wr_upstream *u);

/// Makes the roster hold these, for all workers, until the declaration changes. They passed
/// `wr_upstream_check`. Returns how many there was no room for.
size_t wr_upstream_set(struct wr_upstream *u, const struct wr_roster_wanted *wanted, size_t count,
                       uint64_t now_ns);

/// Brings the copy up to date, tells the roster what this worker saw, and seeds it when its
/// generation is live and its declaration new. At going live, and a few times a second.
void wr_upstream_sync(struct wr_upstream *u, uint64_t now_ns);

/// An endpoint that was chosen.
struct wr_upstream_choice {
  struct wr_endpoint *endpoint; ///< NULL: none
  uint32_t place;               // private
};

/// Chooses an endpoint, see `wr_balance_pick`, for an attempt that begins now and ends with
/// `wr_upstream_report`. False with a set error: `no_endpoint` when there is none, or all are out;
/// `refused` when all that may be used have as many attempts under way as the pool allows.
bool wr_upstream_pick(struct wr_upstream *u, const struct wr_balance_ask *ask,
                      struct wr_upstream_choice *out, struct wr_error *error);

/// How an attempt ended.
struct wr_upstream_report {
  uint64_t now_ns;
  uint64_t started_ns;
  uint64_t head_ns;        ///< when the response head came; 0: it did not
  enum wr_error_kind kind; ///< NONE: the response is complete
  int status;              ///< 0 without a head
};

/// Ends an attempt. Failures are those of a gateway: no response, or 502, 503, 504. What was
/// refused here, cancelled, or cut short by the caller's deadline says nothing.
void wr_upstream_report(struct wr_upstream *u, struct wr_upstream_choice *choice,
                        const struct wr_upstream_report *report);
