#pragma once
/// Names to addresses for everything that connects: hosts file, cache, and DNS behind them.
///
/// Never blocks. Numeric hosts are answered as they are; `localhost` and the hosts file never ask a
/// name server. Answers are kept for their TTL (clamped to 1 s..1 h), "no such name" for 5 s.
/// Concurrent queries of one name share one question. While the servers fail, an answer up to a day
/// old is served (RFC 8767), also when a fresh one takes longer than 0.5 s. At most `entries_max`
/// names are kept; the least recently used makes place. One loop's own.

#include "upstream/dns.h"

struct wr_resolver;
struct wr_resolver_entry;
struct wr_resolver_query;

/// A name that was asked of the name servers.
struct wr_resolver_lookup {
  struct wr_str name;
  uint64_t took_ns;
  enum wr_dns_status status;
};

/// All fields may be zero: the value in parentheses.
struct wr_resolver_options {
  struct wr_dns_options dns;
  const char *hosts_path;   ///< (/etc/hosts)
  uint64_t ttl_min_ns;      ///< (1 s)
  uint64_t ttl_max_ns;      ///< (1 h)
  uint64_t negative_ttl_ns; ///< "no such name" (5 s)
  uint64_t failure_ttl_ns;  ///< before a server that failed is asked again (1 s)
  uint64_t stale_max_ns;    ///< how long after its TTL an answer may still serve (24 h)
  uint64_t stale_after_ns;  ///< a fresh answer may take this long before a stale one serves (0.5 s)
  size_t entries_max;       ///< (1024)
  void (*on_lookup)(void *ctx, const struct wr_resolver_lookup *l); ///< is told of each; or NULL
  void *ctx;                                                        ///< of on_lookup
};

/// `answer` is valid during the call; NULL when `error->kind` is dns.
typedef void (*wr_resolver_cb)(struct wr_resolver_query *q, const struct wr_dns_answer *answer,
                               const struct wr_error *error);

/// One waiter; embed it. Idle when zeroed, after its callback began, and after `cancel`.
struct wr_resolver_query {
  struct wr_list link;           // private
  wr_resolver_cb on_answer;      // private; NULL: idle
  struct wr_dns_address numeric; // private: text "" when the host is none
  const char *refused;           // private: why it is not even looked up
};

/// Counters since the start.
struct wr_resolver_stats {
  uint64_t queries;   ///< by callers
  uint64_t questions; ///< that went to a name server
  uint64_t stale;     ///< queries answered with an answer past its TTL
  uint64_t failures;  ///< queries answered with an error
  size_t entries;     ///< names kept now
};

/// `options` NULL: all defaults. NULL with `error` when the servers cannot be read.
struct wr_resolver *wr_resolver_new(struct wr_loop *l, const struct wr_resolver_options *options,
                                    struct wr_error *error);

/// All queries must have ended. `on_closed` (may be NULL) when the memory is gone.
void wr_resolver_close(struct wr_resolver *r, void (*on_closed)(void *ctx), void *ctx);

/// Asks for the addresses of `host` (without brackets, any case). `cb` runs exactly once unless
/// cancelled, never from inside this call.
void wr_resolver_query(struct wr_resolver *r, struct wr_str host, struct wr_resolver_query *q,
                       wr_resolver_cb cb);

/// The waiter leaves; its callback will not run. Nothing happens when it is idle. At any moment.
void wr_resolver_cancel(struct wr_resolver_query *q);

/// What asks the name servers, for questions that are not for addresses.
struct wr_dns *wr_resolver_dns(struct wr_resolver *r);

/// The counters now.
struct wr_resolver_stats wr_resolver_stats(const struct wr_resolver *r);
