#pragma once
/// From a head to an exchange, whatever the protocol: gives it an id, refuses what no policy may
/// see (CONNECT, loops, paths that climb, bodies past the limit), answers OPTIONS *, and hands the
/// rest to the layer above. Private to http/.

#include "http/exchange_internal.h"

/// Begins `x`, whose head was read without fault. The protocol has set `ops`, `server`, `head`,
/// what is known of the body, and in `info`: region, client, scheme, start. Calls a hook.
void wr_judge_begin(struct wr_exchange *x);

/// Begins `x` for want of a proper head, and answers by itself; nothing more of the request is
/// read. `detail` is constant text.
void wr_judge_refuse(struct wr_exchange *x, int status, const char *detail);
