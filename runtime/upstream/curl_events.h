#pragma once
/// What libcurl tells of a transfer: a socket, a second sending, room for the body, lines of a
/// head, pieces of a body. Nothing here ends a transfer; it refuses, and libcurl ends it. Private
/// to transport_curl.c.

#include "upstream/curl_transfer.h"

/// Puts all callbacks on the transfer's handle. False when this libcurl lacks the one that guards
/// against a second sending.
bool wr_curl_events_set(struct wr_curl_transfer *t);
