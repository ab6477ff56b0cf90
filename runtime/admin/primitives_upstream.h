#pragma once
/// What is told of an upstream, and of each of its endpoints.

#include "arena/registry.h"
#include "base/json.h"

/// Writes the members of an upstream's object but its name. The caller holds the entry's lock.
void wr_primitives_upstream_put(struct wr_entry *entry, uint64_t now_ns, struct wr_json *j);
