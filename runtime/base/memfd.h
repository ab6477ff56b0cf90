#pragma once
/// Texts handed from one process to another in sealed memory: who gets one can rely on its never
/// changing.

#include "base/str.h"

/// A new sealed memfd that holds `text`, positioned at its start, for the caller to close; `name`
/// is what /proc shows. -1 with errno set.
int wr_memfd_new(const char *name, struct wr_str text);

/// Maps all of `fd` for reading; to be unmapped by `wr_memfd_unmap`. Absent (`ptr` NULL) when it is
/// empty or cannot be mapped. `fd` stays the caller's.
struct wr_str wr_memfd_map(int fd);

/// The end of a mapping; an absent one is fine.
void wr_memfd_unmap(struct wr_str text);
