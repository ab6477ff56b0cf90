#pragma once
/// The workers as their master sees them: forked, fed, buried and replaced.
///
/// A worker that dies loses its own requests and nothing else: its tickets are settled from its
/// ledger, its slot's metrics stay, and its successor is forked at once (a second later when it
/// keeps dying at once). The master's only.

#include "master.h"

/// A fleet: a slot for each worker, from `first_slot` on; forks nobody yet. To be freed by wr_free.
struct wr_master_worker *wr_fleet_new(struct wr_master *m, uint32_t first_slot);

/// A worker that the program before us forked: it serves generation `live`. `mailbox` is taken
/// over.
void wr_fleet_adopt(struct wr_master_worker *w, pid_t pid, int mailbox, uint64_t live);

/// The next worker, first of ours, then of those that leave; start with `*at` = 0; NULL at the end.
struct wr_master_worker *wr_fleet_each(struct wr_master *m, uint32_t *at);

/// The process ids of all workers, to be freed by wr_free.
pid_t *wr_fleet_pids(struct wr_master *m, size_t *count);

/// The fleet that takes what clients ask.
struct wr_master_worker *wr_fleet_serving(const struct wr_master *m);

/// Forks the worker of a slot and gives it the live generation, and the one that is being prepared.
void wr_fleet_fork(struct wr_master_worker *w);

/// Forks a child; in it everything but the standard descriptors, the arena, the bells and `pair[1]`
/// is closed. Returns like fork.
pid_t wr_fleet_fork_process(struct wr_master *m, const int pair[2]);

/// The worker is dead: settles what it left in the arena. Returns how many tickets.
uint32_t wr_fleet_settle(struct wr_master_worker *w);

/// Sends to one worker; nothing happens when it is not there. `fd` (-1: none) stays the caller's.
void wr_fleet_send(struct wr_master_worker *w, enum wr_worker_message type, uint64_t number,
                   struct wr_str payload, int fd);

/// Buries every child that has ended.
void wr_fleet_reap(struct wr_master *m);

/// How breaker transitions that the master makes are told.
struct wr_guard_callbacks wr_fleet_callbacks(struct wr_master *m);
