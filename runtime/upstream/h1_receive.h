#pragma once
/// The response of a native transfer: read, parsed and told from where it was read. Private to
/// h1_*.c.

#include "upstream/h1_transfer.h"

/// Reads once, or all that is left on a failed connection, and delivers it up to the next pause.
void wr_h1_receive(struct wr_h1_transfer *t);

/// Goes on after a pause, with what was read before.
void wr_h1_receive_rest(struct wr_h1_transfer *t);
