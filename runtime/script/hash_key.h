#pragma once
/// What of a request decides its endpoint, for the balance rules that keep a key at one endpoint.

#include "script/request.h"
#include "upstream/upstream.h"

/// The key that `key` says, of the request; `ptr` is NULL when it has none. Borrowed from the
/// request.
struct wr_str wr_hash_key_of(const struct wr_upstream_key *key, const struct wr_request *q);
