#pragma once
/// What a client is told beside the answer itself: fields that policies set, and those that tell of
/// the request's way (X-Weir-Explain, Server-Timing).

#include "policy/serve.h"

/// Adds the latter to `s->request.told`, when its client or its route wants them. Once, when the
/// head of the answer is about to leave: what comes later is not known.
void wr_told_add(struct wr_serving *s);

/// Puts all of them into the head of a response, in place of fields of these names.
void wr_told_put(const struct wr_serving *s, struct wr_headers *headers);
