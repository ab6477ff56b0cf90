#pragma once
/// The master's part in exporting telemetry (observe/otlp_settings.h): it tells of variables that
/// make no sense.

struct wr_master;

/// Tells of variables that make no sense. Once, when the log is open.
void wr_exports_init(struct wr_master *m);
