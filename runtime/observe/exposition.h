#pragma once
/// Pieces of the Prometheus text format. For observe/.

#include "arena/series.h"
#include "base/buf.h"

/// A sample's value and the end of its line.
bool wr_exposition_number(struct wr_buf *out, double value);

/// The HELP and TYPE lines of a family.
bool wr_exposition_header(struct wr_buf *out, const char *name, const char *help, const char *type);

/// The same for a built-in family of metrics.def.
bool wr_exposition_family(struct wr_buf *out, enum wr_metric metric);

/// The name of a built-in family.
const char *wr_exposition_name(enum wr_metric metric);

/// Its help, which ends with its labels in braces.
const char *wr_exposition_help(enum wr_metric metric);
