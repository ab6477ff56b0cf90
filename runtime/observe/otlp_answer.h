#pragma once
/// What a collector answers to an export that it took (ExportTraceServiceResponse and its like).
/// Pure.

#include "base/str.h"

#include <stdint.h>

/// How many records it took notice of and rejected all the same; 0 too when `body` makes no sense.
/// What is not known in it is skipped.
uint64_t wr_otlp_answer_rejected(struct wr_str body, bool is_json);
