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

/// What the process does, by the letter of /proc/PID/stat (proc(5)): 'R' can run, 'T' is stopped,
/// 'X' is gone; and how much CPU time it has had.
char wr_usage_state(pid_t pid, double *cpu_s);

/// Writes the process_* families to `out`. False when it does not fit.
bool wr_usage_write(const struct wr_usage *usage, struct wr_buf *out);
