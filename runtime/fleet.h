#pragma once
/// The workers as their master sees them: forked, fed, buried and replaced.
///
/// A worker that dies loses its own requests and nothing else: its tickets are settled from its
/// ledger, its slot's metrics stay, and its successor is forked at once (a second later when it
/// keeps dying at once). The master's only.

#include "master.h"

/// Prepares a slot for each worker; forks nobody yet.
void wr_fleet_init(struct wr_master *m);

/// Forks the worker of a slot and gives it the live generation, and the one that is being prepared.
void wr_fleet_fork(struct wr_master_worker *w);

/// Forks a child; in it everything but the standard descriptors, the arena, the bells and `pair[1]`
/// is closed. Returns like fork.
pid_t wr_fleet_fork_process(struct wr_master *m, const int pair[2]);

/// Sends to one worker; nothing happens when it is not there. `fd` (-1: none) stays the caller's.
void wr_fleet_send(struct wr_master_worker *w, enum wr_worker_message type, uint64_t number,
                   struct wr_str payload, int fd);

/// Buries every child that has ended.
void wr_fleet_reap(struct wr_master *m);

/// How breaker transitions that the master makes are told.
struct wr_guard_callbacks wr_fleet_callbacks(struct wr_master *m);
