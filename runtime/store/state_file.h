#pragma once
/// A file that is there whole or not at all: written beside, flushed, and renamed.

#include "base/buf.h"
#include "base/error.h"

/// Appends the file's content to `out`. True, and nothing is appended, when there is no such file.
/// False with a set error that says why it cannot be read.
bool wr_state_file_read(const char *path, struct wr_buf *out, struct wr_error *error);

/// Replaces the file, with mode 0600. False with a set error; the old one is as it was then.
bool wr_state_file_write(const char *path, struct wr_str text, struct wr_error *error);
