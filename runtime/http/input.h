#pragma once
/// What came from a client and is not used up: read into the server's scratch memory, used where it
/// lies, and what is left of it kept with the connection. Calls no hooks; a socket that fails is
/// noted with `wr_connection_fail`. Private to http/.

#include "http/connection.h"

/// Opens `ws->view`, the input that there is, for `wr_connection_consume`.
void wr_input_open(struct wr_connection *c);

/// Keeps what of the view was not used, and nothing else that is of no use.
void wr_input_close(struct wr_connection *c);

/// How many bytes may be read now. Input that nobody wants yet is read ahead a little: to stop
/// watching for it and to start again would cost each request four system calls. (Resets are
/// reported anyway.)
size_t wr_input_room(const struct wr_connection *c);

/// Reads once.
void wr_input_receive(struct wr_connection *c);

/// What was read is little: the connection goes on with it at the end of the turn (WR_IO_PUT_OFF).
/// False when it has to go on now.
bool wr_input_put_off(struct wr_connection *c);
