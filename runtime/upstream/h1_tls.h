#pragma once
/// TLS on a connection of the native transport. Plain connections know nothing of it but that they
/// have none. Private to h1_*.c.

#include "upstream/h1_transfer.h"

/// Begins on the connection of a dial, which has just connected. False with a set error.
bool wr_h1_tls_begin(struct wr_h1_connection *c, struct wr_error *error);

/// Goes on with the handshake. Bytes that came behind it are kept as read; `*reason` is why it
/// FAILED, until the connection is closed.
enum wr_tls_state wr_h1_tls_shake(struct wr_h1_connection *c, int events, const char **reason);

/// As read(2) of WR_H1_READ_SIZE bytes, but that `to` has room for WR_CHANNEL_SLACK more: 0 is an
/// end in good order, all others are errors.
ssize_t wr_h1_tls_read(struct wr_h1_connection *c, char *to);

/// As wr_io_send. Whether the socket has taken all of it is to be seen by the channel's `unsent`.
ssize_t wr_h1_tls_send(struct wr_h1_connection *c, struct iovec *pieces, size_t count);

/// Why the peer has broken it off, when it was TLS; else NULL.
const char *wr_h1_tls_fault(const struct wr_h1_connection *c);

/// What the loop is to be told of while the transfer wants `events`.
int wr_h1_tls_wants(const struct wr_h1_connection *c, int events);

/// Says that nothing more is sent; what comes is still read.
void wr_h1_tls_shut(struct wr_h1_connection *c);

/// Closes the socket in good order, which is not watched any more.
void wr_h1_tls_close(struct wr_h1_connection *c);
