#pragma once
/// Opening a connection of the HTTP/2 transport: its name, its addresses one after the other, and
/// TLS. Private to h2_link.c and h2_dial.c.

#include "upstream/h2_link.h"

/// Starts; the link is told by `wr_h2_link_on_open` or `wr_h2_link_give_up`, perhaps at once.
void wr_h2_dial_start(struct wr_h2_link *l);

/// What has not come to pass when its time is over, as text.
const char *wr_h2_dial_late(const struct wr_h2_link *l);

/// Goes on with the next address. False when there is none.
bool wr_h2_dial_next(struct wr_h2_link *l);

/// The socket has connected, or failed to, or its handshake goes on.
void wr_h2_dial_on_ready(struct wr_h2_link *l, int events);

/// Closes the socket, if there is one; over TLS in good order.
void wr_h2_dial_drop(struct wr_h2_link *l);
