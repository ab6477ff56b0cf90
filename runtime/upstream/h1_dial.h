#pragma once
/// Opening a connection: resolving the name, trying its addresses one after the other, TLS.
///
/// A dial belongs to one transfer and has one place in the pool, which the connection takes over.
/// Private to h1_*.c.

#include "upstream/h1_pool.h"

struct wr_h1_dial {
  struct wr_h1_transfer *user;
  struct wr_resolver_query query;
  struct wr_dns_answer addresses;
  size_t at;                     ///< the address whose turn it is
  struct wr_h1_connection *conn; ///< of that address, while it connects
  uint64_t until_ns;             ///< when the next address is tried; UINT64_MAX: no limit
};

/// Starts for `user`, which is told by `wr_h1_transfer_on_open` or `wr_h1_transfer_on_dial_failed`,
/// never from inside this call.
struct wr_h1_dial *wr_h1_dial_start(struct wr_h1_transfer *user);

/// Gives up and frees it.
void wr_h1_dial_stop(struct wr_h1_dial *d);

/// Goes on with the next address. False when there is none.
bool wr_h1_dial_next(struct wr_h1_dial *d);

/// The socket of the present address has connected, or failed to, or its handshake goes on.
void wr_h1_dial_on_ready(struct wr_h1_dial *d, int events);
