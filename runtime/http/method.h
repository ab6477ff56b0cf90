#pragma once
/// Names of methods in metrics and spans. Pure.

#include "base/str.h"

/// A method that specifications name, else "_OTHER": clients choose them, and OpenTelemetry has it
/// so. Constant text.
const char *wr_method_name(struct wr_str method);
