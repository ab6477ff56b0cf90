#pragma once
/// Which requests ask to go on in another protocol, and may: WebSocket and its like (RFC 9110 7.8).

#include "script/request.h"
#include "upstream/upstream.h"

/// The protocol that the request asks for and the upstream allows, in memory of the request;
/// absent: it does not, and goes as any other. False with a set error (`invalid`) when it asks in a
/// way that two readers could understand differently.
bool wr_upgrade_choose(const struct wr_upstream *u, const struct wr_request *q,
                       struct wr_str *protocol, struct wr_error *error);
