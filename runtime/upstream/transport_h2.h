#pragma once
/// HTTP/2 to endpoints that are known to speak it, as gRPC servers do: in the clear from the first
/// byte (RFC 9113 3.3), over TLS by ALPN, nothing else being offered. nghttp2 on sockets of our
/// loop.
///
/// What shows of it:
/// - Transfers to one endpoint share connections, up to the streams that the endpoint allows; a
///   paused transfer holds back its own stream alone, and buffers at most that stream's window.
/// - Bodies flow both ways at once, and a response may end before its request.
/// - What the endpoint says it has not processed (REFUSED_STREAM, GOAWAY) goes again once, on a
///   fresh connection, if its body can be had again. So does an idempotent request whose reused
///   connection ends before a response.
/// - A request that may be sent once only rides a connection that was heard of within the last
///   second; with `is_fresh`, none but its own.
/// - Connections that begin with a preamble are shared by requests with the same one; those over
///   TLS by requests with the same settings and the same server name.
/// The process must ignore SIGPIPE. One loop's own.

#include "upstream/resolver.h"
#include "upstream/transport.h"

enum {
  WR_TRANSPORT_H2_STREAMS_MAX = 100, ///< transfers on one connection
};

struct wr_outbound_tls;

/// All fields may be zero: the value in parentheses.
struct wr_transport_h2_options {
  uint64_t idle_ns;            ///< a connection without a transfer for longer is closed (4 s)
  struct wr_outbound_tls *tls; ///< borrowed; NULL: no https
};

/// Borrows loop and resolver, which must outlive it; copies the options. Close it with
/// `wr_transport_close`, which ends transfers silently.
struct wr_transport *wr_transport_h2_new(struct wr_loop *l, struct wr_resolver *resolver,
                                         const struct wr_transport_h2_options *options);
