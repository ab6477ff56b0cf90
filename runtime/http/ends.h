#pragma once
/// Both ends of a client's connection: the client, and the address that it connected to.
///
/// What a PROXY header said of them counts; else the socket tells. Kept from the first question
/// on, for few connections are asked. Private to http/: others use `wr_exchange_ends`.

#include "http/proxy_protocol.h"

struct wr_connection;

/// What its proxy said of the client, to be kept; NULL or without a client: nothing.
void wr_ends_tell(struct wr_connection *c, const struct wr_proxy_protocol *told);

/// The ends; valid as long as the connection.
const struct wr_proxy_protocol *wr_ends_of(struct wr_connection *c);
