#pragma once
/// The PROXY header with which connections to an upstream begin, if it wants one.

#include "script/request.h"
#include "upstream/upstream.h"

/// The header of the upstream's version for the client of `q`, in the region, which must have room;
/// absent when `u` wants none. Without a client (`q` is NULL, or its client has gone) it says LOCAL
/// or UNKNOWN. Either may be NULL.
struct wr_str wr_introduction(const struct wr_upstream *u, const struct wr_request *q,
                              struct wr_region *region);
