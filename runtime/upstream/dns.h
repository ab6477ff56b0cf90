#pragma once
/// DNS questions on the loop: c-ares's channel, its sockets on `wr_io`, its time-outs on one
/// `wr_timer`.
///
/// Asks for A and AAAA at once and answers when both came, or 50 ms after the first that brought
/// addresses (RFC 8305 3: a name server that swallows AAAA must not delay everybody). No cache, no
/// hosts file, no sharing of questions: that is resolver.h. Never blocks; reads resolv.conf once,
/// in `open`. One loop's own.

#include "base/error.h"
#include "base/str.h"
#include "loop/loop.h"

enum { WR_DNS_ADDRESSES_MAX = 16, WR_DNS_NAME_MAX = 253, WR_DNS_TEXT_MAX = 46 };

/// A numeric address as text, without brackets.
struct wr_dns_address {
  char text[WR_DNS_TEXT_MAX];
  bool is_ipv6;
};

/// Addresses in the order to try them: IPv4 before IPv6, else as the server gave them.
struct wr_dns_answer {
  size_t count;
  struct wr_dns_address items[WR_DNS_ADDRESSES_MAX];
  uint32_t ttl_s; ///< from resolver.h: for how long it holds; 0: not known
};

enum wr_dns_status {
  WR_DNS_FOUND,  ///< at least one address
  WR_DNS_NONE,   ///< the name does not exist or has no address: an answer, not a failure
  WR_DNS_FAILED, ///< SERVFAIL, refused, timed out: nothing is known
};

struct wr_dns_result {
  enum wr_dns_status status;
  uint32_t ttl_s;     ///< FOUND: the smallest of all records
  const char *reason; ///< NONE, FAILED: constant text
  struct wr_dns_answer answer;
};

struct wr_dns_options {
  const char *servers; ///< "127.0.0.1:5353,[::1]:53"; NULL: as resolv.conf says
  uint64_t timeout_ns; ///< first try of one server; doubles with each round; 0: 1 s
  int tries;           ///< 0: 3
};

struct wr_dns;

typedef void (*wr_dns_cb)(void *ctx, const struct wr_dns_result *result);

/// NULL with `error` (kind dns) when the servers cannot be read.
struct wr_dns *wr_dns_open(struct wr_loop *l, const struct wr_dns_options *options,
                           struct wr_error *error);

/// Asks for the addresses of `name` (NUL-terminated, checked by the caller). `cb` runs exactly
/// once, maybe before this returns; not after `close`.
void wr_dns_lookup(struct wr_dns *d, const char *name, wr_dns_cb cb, void *ctx);

/// A raw answer; `reply` is NULL when there is none, and `reason` constant text.
typedef void (*wr_dns_raw_cb)(void *ctx, const unsigned char *reply, size_t len,
                              const char *reason);

/// Asks for records of `type` of `name`. `cb` runs exactly once, maybe before this returns, at
/// the latest from inside `close`.
void wr_dns_ask(struct wr_dns *d, const char *name, int type, wr_dns_raw_cb cb, void *ctx);

/// Drops all questions silently and closes the sockets; `on_closed` when the memory is gone. Not
/// from inside a `wr_dns_cb`.
void wr_dns_close(struct wr_dns *d, void (*on_closed)(void *ctx), void *ctx);

/// Reads a numeric address of either family; false when `text` is none.
bool wr_dns_numeric(struct wr_str text, struct wr_dns_address *out);

/// Version of the c-ares in use.
const char *wr_dns_library_version(void);
