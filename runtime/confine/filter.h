#pragma once
/// The system calls that a worker or a trial may make (seccomp, by libseccomp): a list of what they
/// need. Everything else is refused, and some of it ends the process: see confine/README.md.

#include "base/error.h"

enum wr_filter_role {
  WR_FILTER_WORKER, ///< the network, and reading files
  WR_FILTER_TRIAL,  ///< reading files, and packing what was read; no network
};

/// Can this kernel filter, and is this process allowed to? False with an error that says what to
/// do. Changes nothing.
bool wr_filter_is_possible(struct wr_error *error);

/// Filters the system calls of this process and of all it might start, for good. Libraries that
/// start threads, load code or open files for writing when they are first used must have been used
/// before. False with a set error; nothing is filtered then.
bool wr_filter_install(enum wr_filter_role role, struct wr_error *error);
