#pragma once
/// The transport of the hot path: plain HTTP/1.1 over pooled sockets on our loop, without a library
/// in between; and over TLS, which tunnels need.
///
/// What shows of it:
/// - A pooled connection is reused, most recently used first, unless it idled for too long, unless
///   the peer's `Keep-Alive: timeout` (less a second) is over, and unless anything can be read from
///   it (looked for before each use: bytes that nobody asked for would be taken for the answer).
/// - A request that may be sent once only rides a pooled connection that answered within the last
///   second, so that it hardly meets a server that is just giving it up; with `is_fresh`, none.
/// - A pooled connection that ends before the first byte of a response gives the request a second
///   chance, once and on a fresh connection, if it is idempotent or nothing of it was sent, and if
///   no streamed body has gone with it (RFC 9110 9.2.2).
/// - Connections that begin with a preamble are reused for requests with the same one.
/// - A name with several addresses: the next is tried when one does not connect; they share what
///   `connect` allows.
/// - A final response that ends before the request does ends the transfer and closes the
/// connection,
///   and so does one byte too many behind a response.
/// - `first_byte` runs from when the kernel took the last byte of the request.
/// The process must ignore SIGPIPE. One loop's own.

#include "upstream/resolver.h"
#include "upstream/transport.h"

enum {
  WR_H1_IDLE_MAX = 256, ///< idle connections kept for one endpoint, or for all preambles together
};

struct wr_outbound_tls;

/// All fields may be zero: the value in parentheses.
struct wr_transport_h1_options {
  unsigned endpoint_connections_max; ///< to one host and port; more transfers wait, oldest first,
                                     ///< within their `connect` time (0: no limit)
  uint64_t idle_ns;            ///< a pooled connection that idled longer is not used again (4 s)
  struct wr_outbound_tls *tls; ///< borrowed; NULL: no https
};

/// Borrows loop and resolver, which must outlive it; copies the options. Close it with
/// `wr_transport_close`, which ends transfers silently.
struct wr_transport *wr_transport_h1_new(struct wr_loop *l, struct wr_resolver *resolver,
                                         const struct wr_transport_h1_options *options);
