#pragma once
/// What operators have ordered that stands above the policy now: one list for all kinds, so that
/// nobody has to look for it.

#include "arena/registry.h"
#include "base/json.h"

/// Writes them as an array: kind, name, what is in force and what the policy says, by whom and
/// since when.
void wr_overrides_write(struct wr_registry *r, uint64_t now_ns, struct wr_json *j);
