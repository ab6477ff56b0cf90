#pragma once
/// Lines of the log as OTLP log records: their message is the body, their event the event's name,
/// all else attributes, under OpenTelemetry's names where it has some.

#include "observe/otlp_batch.h"

/// Adds one line (base/log.h, without its end), read at `now_ns` of Unix time. False when it had no
/// room; what is no such line is left out.
bool wr_otlp_logs_write(struct wr_otlp_batch *b, struct wr_str line, uint64_t now_ns);
