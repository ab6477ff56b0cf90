#pragma once
/// Who ordered what: one line of the log for every POST to the admin listener. For admin/.

#include "base/log.h"
#include "http/exchange.h"

/// Logs an order that was answered. `is_tcp`: the caller is told by its address, else by the user
/// and the process that the kernel names. In `on_end` of the exchange.
void wr_audit_write(struct wr_log *log, struct wr_exchange *x, bool is_tcp);
