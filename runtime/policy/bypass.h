#pragma once
/// A policy that keeps failing is itself broken open: a route with on_error = "open" has a breaker
/// of its own, which counts handlers that end in script errors. While it is open requests go where
/// on_error sends them without asking the handler, and now and then one is let through to see
/// whether that works again. State, log, metrics and what an operator may do are those of every
/// breaker. One worker's loop.

#include "policy/serve.h"

/// Whether the handler is to be asked. False: `refusal` says why not. A route without such a
/// breaker always is.
bool wr_bypass_enter(struct wr_serving *s, struct wr_error *refusal);

/// The handler that was asked has ended so.
void wr_bypass_leave(struct wr_serving *s, enum wr_handler_end end);
