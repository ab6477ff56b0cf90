#pragma once
/// What the kernel says a process is confined to: the truth, beside what was asked for.

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct wr_facts {
  uint32_t uid;          ///< effective
  uint64_t capabilities; ///< permitted or effective: what it has, or can have back
  bool no_new_privileges;
  bool is_filtered; ///< its system calls are, by a filter of ours or of a service manager
};

/// Reads /proc/PID/status. False when there is no such process, or nothing to read.
bool wr_facts_read(pid_t pid, struct wr_facts *out);

/// No capabilities, no new privileges, and a filter: what a worker has to be.
bool wr_facts_is_confined(const struct wr_facts *facts);
