#pragma once
/// What weir's processes know of their own load: loop lag, requests in flight, memory.
///
/// Workers publish theirs in their slots with every beat and read the others'; the master measures
/// memory, which no process can tell for all. The values are a tick old, which is as precise as
/// `weir.overload` needs them.

#include "policy/serve.h"

#include <sys/types.h>

/// A worker's beat: publishes its own load, brings `env->signals` up to date, moves the level of
/// `serve->overload` and publishes that too.
void wr_pressure_sample(struct wr_script_env *env, struct wr_serve *serve, uint64_t lag_ns);

/// The master's part: the memory of this process and of `pids` (0 is skipped) into its slot. Shared
/// pages count once, as this process's own.
void wr_pressure_measure(struct wr_arena *a, const pid_t *pids, size_t count);
