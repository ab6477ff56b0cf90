#pragma once
/// Named primitives as JSON: what the status page and `GET /breakers` and its like show.

#include "arena/registry.h"
#include "base/json.h"

/// Writes a member for each kind that pages show ("breakers": [...]) into the object that is open.
void wr_primitives_write(struct wr_registry *r, uint64_t now_ns, struct wr_json *j);

/// Writes the list of one kind.
void wr_primitives_write_kind(struct wr_registry *r, enum wr_kind kind, uint64_t now_ns,
                              struct wr_json *j);

/// The kind whose list is called `plural` ("breakers"); WR_KINDS when there is none.
enum wr_kind wr_primitives_kind(struct wr_str plural);

/// What the list of a kind is called: "breakers" for "breaker"; NULL when the kind is not shown.
const char *wr_primitives_plural(const char *noun);
