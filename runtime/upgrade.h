#pragma once
/// Another binary takes over: its program replaces ours in this very process, and its workers the
/// workers, one fleet after the other, on the same sockets.
///
///     none -> rehearsal -> going -> execve ~> renewal -> draining -> none
///
/// The new program is tried first, as a child that loads the live bundle in workers of its own: one
/// that does not start, does not load it, or takes too long changes nothing. Then it becomes the
/// master, by execve: same process id, same children, same descriptors (handover.h). Its own
/// workers load the bundle in the slots of the other fleet; when all serve, the old ones retire.
/// Should that fail after all, the process is given back to the program that it came from. One at a
/// time; the master's only.

#include "master.h"

#define WR_UPGRADE_REHEARSAL_NS (20 * WR_SECOND) ///< for the new program to be ready

/// Makes the fleet, or takes over what the program before us left.
void wr_upgrade_init(struct wr_master *m);

/// Given back by a program that failed: goes on, and tells who asked for it. Once there is an admin
/// listener.
void wr_upgrade_resume(struct wr_master *m);

/// Asks for one. `waiter` (NULL: a signal) gets the verdict, perhaps from the next program.
void wr_upgrade_request(struct wr_master *m, struct wr_admin_waiter *waiter);

/// Whether what else would change weir has to wait.
bool wr_upgrade_is_exclusive(const struct wr_master *m);

/// While another program gets ready nobody who waits for an answer is taken: tells `waiter` so.
/// What nobody waits for (`waiter` NULL) is done afterwards.
bool wr_upgrade_refuses(struct wr_master *m, struct wr_admin_waiter *waiter);

/// The bundle that was handed over, for its trial, the caller's; `*out` is NULL when it is the
/// disk's. False: it cannot be read, and the reload under way has failed.
bool wr_upgrade_bundle(struct wr_master *m, struct wr_source **out);

/// A child has ended: the rehearsal, if `pid` is its.
void wr_upgrade_on_exit(struct wr_master *m, pid_t pid, int status);

/// We are the rehearsal, and every worker has the bundle ready: it went well.
void wr_upgrade_rehearsed(struct wr_master *m);

/// All of our workers have the bundle ready: from here on they are the ones.
void wr_upgrade_commit(struct wr_master *m);

/// A reload is over. True when it was an upgrade's and has failed: nothing is left to do.
bool wr_upgrade_on_reload(struct wr_master *m, bool ok);

/// A leaving worker is gone.
void wr_upgrade_on_left(struct wr_master *m);

/// weir stops: there is no upgrade any more.
void wr_upgrade_stop(struct wr_master *m);
