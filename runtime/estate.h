#pragma once
/// What a master knows and holds, as one program of weir leaves it to the next in a document
/// (handover.h): listeners, workers, bells, quarantines, generations that were live, counters. The
/// master's only.

#include "base/archive.h"
#include "master.h"

/// Writes all of it. Descriptors that it names stay open over execve.
void wr_estate_write(struct wr_master *m, struct wr_archive *a);

/// Takes all of it over: the old workers are the leaving ones, or, given back, ours.
void wr_estate_read(struct wr_master *m, struct wr_archive *a);

/// A descriptor, -1 for none; one that is written stays open over execve.
void wr_estate_fd(struct wr_archive *a, const char *key, int *fd);
