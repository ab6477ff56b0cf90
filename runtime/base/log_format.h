#pragma once
/// The shape of log lines: as they are written inside, by the conventions of others
/// (tables/log_names.def), or for people. Pure; any thread.

#include "base/buf.h"

enum wr_log_format {
  WR_LOG_JSON, ///< as they are
  WR_LOG_OTEL, ///< JSON with OpenTelemetry's names
  WR_LOG_ECS,  ///< JSON with names of the Elastic Common Schema
  WR_LOG_TEXT, ///< time, level, event, message, then the other fields as name=value
  WR_LOG_FORMATS
};

/// Appends the line, one of wr_log's objects, in another shape. False when `out` has no room.
bool wr_log_format_line(enum wr_log_format format, struct wr_str line, struct wr_buf *out);

/// Format by name: json, otel, ecs, text. False when there is none of that name.
bool wr_log_format_find(struct wr_str name, enum wr_log_format *out);
