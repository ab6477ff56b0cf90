#pragma once
/// One line and one set of observations per request.

#include "policy/serve.h"

/// Writes the access line and counts the request; `why` is its reason code (wr_serving_why). At its
/// end, before its memory goes.
void wr_log_access(struct wr_script_env *env, const struct wr_serving *s,
                   const struct wr_exchange_stats *stats, const char *why);
