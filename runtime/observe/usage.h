#pragma once
/// What weir's processes take from the machine, as the kernel counts it: CPU, memory, descriptors.
///
/// Read from /proc when somebody asks for the metrics; Linux only. Master only: it knows the
/// workers, and the CPU time of those that are gone is booked to it.

#include "base/buf.h"

#include <sys/types.h>

struct wr_usage {
  const pid_t *workers; ///< live ones; 0 is skipped
  size_t count;
  uint64_t started_wall_ns; ///< when weir started, Unix time
};

/// Can the process run, and how much CPU time has it had? False when it sleeps, is stopped or gone.
bool wr_usage_is_runnable(pid_t pid, double *cpu_s);

/// Writes the process_* families to `out`. False when it does not fit.
bool wr_usage_write(const struct wr_usage *usage, struct wr_buf *out);
