#pragma once
/// Who ordered what: one line of the log for every POST to the admin listener. For admin/.

#include "base/log.h"
#include "http/exchange.h"

enum { WR_AUDIT_WHO = 128 };

/// Who asks: by address (`is_tcp`), else by the user and the process that the kernel names.
void wr_audit_name(struct wr_exchange *x, bool is_tcp, char out[WR_AUDIT_WHO]);

/// Logs an order that was answered. In `on_end` of the exchange.
void wr_audit_write(struct wr_log *log, struct wr_exchange *x, bool is_tcp);
