#pragma once
/// From bytes to an HTTP/1 exchange: finds the end of a head, reads it, answers what is malformed,
/// and has the rest judged. Private to http/.

#include "http/connection.h"

/// Reads a head from the input and begins the exchange, or goes over to HTTP/2 where a connection
/// begins with its preface. True when anything changed. Calls hooks.
bool wr_request_begin(struct wr_connection *c);

/// Answers by ourselves, for want of a proper head, and closes. `detail` is constant text.
void wr_request_refuse(struct wr_connection *c, int status, const char *detail);
