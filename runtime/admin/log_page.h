#pragma once
/// The log's level. For admin/.

#include "admin/admin.h"

/// Answers `/log`: GET tells the level, POST ?level=LEVEL orders another for all processes, and
/// ?level=reset takes that back.
void wr_log_page_serve(const struct wr_admin_ops *ops, struct wr_exchange *x);

/// Writes the member "log" into the object that is open.
void wr_log_page_write(const struct wr_arena *a, enum wr_log_level own, struct wr_json *j);
