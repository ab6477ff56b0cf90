#pragma once
/// Load shedding before any handler (`weir.overload`): of what the process cannot serve well the
/// least important goes first.

#include "policy/serve.h"

/// Is the request refused? Then `*refusal` says so, and its trail too. In shadow mode it is counted
/// only. Its route and priority are known by now.
bool wr_shedding_refuses(struct wr_serving *s, struct wr_error *refusal);
