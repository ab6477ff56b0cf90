#pragma once
/// A pipeline that `weir explain --dry` has found, for people.

#include <jansson.h>

/// Prints it: the route with its parameters, its policies with their layers, its upstreams, each
/// with its options and what it is doing now; or why there is none.
void wr_explain_pipeline_print(const json_t *pipeline);
