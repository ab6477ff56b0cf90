#pragma once
/// The transport for any URL: HTTP/1.1 and, over TLS, HTTP/2, by libcurl's multi handle on our
/// loop.
///
/// What libcurl would do behind our back is taken from it: names are resolved by `wr_resolver`,
/// time limits are our own timers, heads are read by our own parser, and a request is never sent
/// twice unless that cannot do harm. Details that show:
/// - A request that is not idempotent always opens a connection of its own (which then joins the
/// pool).
/// - An idempotent one is sent again, once and on a fresh connection, when a pooled connection ends
///   before the first line of a response. A pooled connection on which anything waits to be read is
///   closed without having been used.
/// - A name with several addresses: the next is tried when one does not connect; they share what
///   `connect` allows.
/// - A final response that ends before the request body does ends the transfer when its length is
/// known,
///   and closes the connection.
/// - A connection that begins with a preamble serves one request.
/// - An HTTP/2 connection carries one transfer at a time, as an HTTP/1.1 one does: a shared one
/// would
///   have libcurl buffer without bound what a paused transfer does not take.
/// - `first_byte` runs from when the last byte of the request was handed to libcurl.
/// The process must ignore SIGPIPE. One loop's own.

#include "upstream/resolver.h"
#include "upstream/transport.h"

/// All fields may be zero: the value in parentheses.
struct wr_transport_curl_options {
  unsigned endpoint_connections_max; ///< to one address and port; more transfers wait within their
                                     ///< `connect` time (0: no limit)
  unsigned connections_max;          ///< kept in the pool, all endpoints together (256)
  uint64_t idle_ns;    ///< a pooled connection that idled longer is not used again; rounded down to
                       ///< whole seconds, at least 1 s (4 s)
  const char *ca_file; ///< PEM bundle of trusted roots (the system's)
  const char *ca_path; ///< directory of hashed roots (the system's)
  bool skip_verify;    ///< accept any certificate; for tests
};

/// Borrows loop and resolver, which must outlive it; copies the options. Close it with
/// `wr_transport_close`, which ends transfers silently.
struct wr_transport *wr_transport_curl_new(struct wr_loop *l, struct wr_resolver *resolver,
                                           const struct wr_transport_curl_options *options);
