#pragma once
/// Compresses in one go (RFC 1952). Pure.

#include "base/buf.h"

/// Appends `in`, compressed at zlib's quickest level, to `out`. False, with `out` to be thrown
/// away, when it does not fit.
bool wr_gzip_pack(struct wr_str in, struct wr_buf *out);
