#pragma once
/// Whether a Location or Content-Location names something of the same origin, and what. Pure.

#include "base/region.h"

/// Path and query that a URI reference names, relative to `target` (path and query of the request),
/// in the region; dot segments removed, no fragment. Absent when it belongs to another origin than
/// `authority`, or cannot be read. The scheme is taken to be the same, which errs towards
/// forgetting too much.
struct wr_str wr_same_origin_resolve(struct wr_str reference, struct wr_str authority,
                                     struct wr_str target, struct wr_region *region);

/// Does the reference name `target` itself?
bool wr_same_origin_is_target(struct wr_str reference, struct wr_str authority,
                              struct wr_str target);
