#pragma once
/// What a connection still has to send: small pieces are gathered and leave together at the end of
/// the work, large ones leave at once without being copied. Calls no hooks; a socket that fails is
/// noted with `wr_connection_fail`. Private to http/.

#include "http/connection.h"

enum { WR_OUTPUT_PIECES_MAX = 4 };

/// Sends what is waiting as far as the socket takes it.
void wr_output_flush(struct wr_connection *c);

/// The socket takes bytes again: goes on with those that a channel had taken.
void wr_output_resume(struct wr_connection *c);

/// Bytes that wait for the socket.
static inline size_t wr_output_unsent(const struct wr_connection *c)
{
  return (c->ws ? c->ws->out.len : 0) + c->channel.unsent;
}

/// Sends or gathers `count` <= WR_OUTPUT_PIECES_MAX pieces, in order; what the socket does not take
/// is copied.
void wr_output_send(struct wr_connection *c, const struct wr_str *pieces, int count);
