#pragma once
/// The request of a native transfer on its way out. Private to h1_*.c and transport_h1.c.

#include "upstream/h1_transfer.h"

/// Writes the request's head.
void wr_h1_send_head(struct wr_h1_transfer *t, const struct wr_transfer_request *rq);

/// Sends what waits, as far as the socket takes it. Delivers nothing.
void wr_h1_send_flush(struct wr_h1_transfer *t);

/// STREAM: a piece from the caller; see wr_transfer_write.
bool wr_h1_send_piece(struct wr_h1_transfer *t, struct wr_str data);

/// STREAM: the caller's end.
void wr_h1_send_end(struct wr_h1_transfer *t);

/// All of the request has left.
bool wr_h1_send_is_done(const struct wr_h1_transfer *t);

/// Tells the writer that there is room again, if it waits for that.
void wr_h1_send_tell_room(struct wr_h1_transfer *t);
