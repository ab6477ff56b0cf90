#pragma once
/// The master: holds listeners and arena, forks workers and replaces those that die, coordinates
/// reloads, serves the admin socket. Starts no threads, runs no Lua, reads no client's byte.

#include "admin/admin.h"
#include "arena/slot.h"
#include "candidate.h"
#include "exports.h"
#include "history.h"
#include "listeners.h"
#include "loop/io.h"
#include "loop/mailbox.h"
#include "loop/timer.h"
#include "loop/watch.h"
#include "observe/episodes.h"
#include "observe/log_tap.h"
#include "observe/traffic.h"
#include "orders.h"
#include "resilience/comparison.h"
#include "trial.h"
#include "worker.h"

#include <stdatomic.h>
#include <sys/types.h>

/// One worker slot, as the master sees it.
struct wr_master_worker {
  struct wr_master *master;
  uint32_t slot;
  pid_t pid; ///< 0: none
  struct wr_mailbox mailbox;
  bool is_closing;   ///< its mailbox is being closed
  bool is_aborted;   ///< its loop stood still; it was told to die
  bool is_listening; ///< it was given the listeners
  bool is_leaving;   ///< another fleet serves: nobody comes after it
  uint64_t live;     ///< generation it serves, 0 before the first
  uint64_t prepared; ///< generation it holds ready
  uint64_t forked_ns;
  uint64_t died_ns;        ///< when its predecessor did; 0: it has none, or was announced
  double late_cpu_s;       ///< its CPU time when it was first seen silent; below 0: it is not
  uint64_t late_silent_ns; ///< how long it had been silent then
  uint32_t quick_deaths;   ///< in a row, soon after the fork: slows the next fork down
  struct wr_timer refork;
};

enum wr_reload_stage {
  WR_RELOAD_IDLE,
  WR_RELOAD_TRIAL,
  WR_RELOAD_PREPARE,
  WR_RELOAD_CANARY,
  WR_RELOAD_COMMIT
};

struct wr_snapshot;

/// The reload coordinator's (reload.h).
struct wr_reload {
  enum wr_reload_stage stage;
  struct wr_order *order;   ///< the one under way; NULL: idle
  struct wr_list orders;    ///< what is asked for meanwhile
  struct wr_deferred again; // starts the next, at the end of the turn
  uint64_t started_ns;
  uint64_t number;        ///< of the generation being loaded
  uint64_t past_number;   ///< the same, when it was live before; else 0
  struct wr_trial *trial; ///< NULL: none
  struct wr_timer timer;
  struct wr_candidate_report report;
  uint64_t until_ns;                           ///< CANARY: when it is over
  bool is_promoted;                            ///< somebody wants it to be
  struct wr_comparison_group canary, baseline; ///< what both served; zero without one
  int bundle;                                  ///< packed, -1: none
  uint64_t joined;                             ///< those that another one served
  uint64_t counted[2];                         ///< reloads that failed, that succeeded
  char last[WR_SCRIPT_MESSAGE_MAX];            ///< what the last verdict said; "": it went live
  uint64_t failed_ns;                          ///< when it failed
};

/// Who looks at bundles (inspect.h).
struct wr_inspect {
  struct wr_list looks; ///< the one under way first
  bool is_busy;
  struct wr_deferred again; // starts the next, at the end of the turn
};

enum { WR_REHEARSAL_IDENTITY = 4 };

enum wr_upgrade_stage {
  WR_UPGRADE_NONE,
  WR_UPGRADE_REHEARSAL, ///< the new program is tried
  WR_UPGRADE_GOING,     ///< it was well; the admin's answers leave, and then it takes over
  WR_UPGRADE_RENEWAL,   ///< we are the new program: the workers are the old one's, ours get ready
  WR_UPGRADE_DRAINING,  ///< ours serve; the old ones finish
};

/// Another program takes over; see upgrade.h.
struct wr_upgrade {
  enum wr_upgrade_stage stage;
  bool is_rehearsal;              ///< we are the program that is tried
  bool is_foreign;                ///< the leaving workers have an arena of their own
  int bundle;                     ///< to be loaded instead of what is on the disk; -1: none
  int caller;                     ///< the connection of who asked, handed over; -1: nobody
  int output;                     ///< of the rehearsal, -1: none
  pid_t pid;                      ///< of the rehearsal, 0: none
  struct wr_admin_waiter *waiter; ///< who asked; NULL: a signal
  uint64_t identity[WR_REHEARSAL_IDENTITY]; ///< of the file that was rehearsed
  struct wr_timer timer;
  uint64_t started_ns;
  uint64_t going_ns;
  bool is_late;                     ///< the rehearsal, or those who leave, took too long
  bool is_retiring;                 ///< the old workers were told
  uint64_t counted[2];              ///< that failed, that succeeded
  char last[WR_SCRIPT_MESSAGE_MAX]; ///< why the last one failed; "" when it did not
};

struct wr_master {
  const struct wr_settings *settings;
  struct wr_arena arena;
  struct wr_loop loop;
  struct wr_log log;
  struct wr_log_tapped log_tap;
  struct wr_registry registry;
  struct wr_meter meter;
  struct wr_exports exports;
  struct wr_master_worker *workers; ///< as many as the settings say
  struct wr_master_worker *leaving; ///< as many, of the program before; NULL: none
  struct wr_list listeners;
  struct wr_admin *admin;
  struct wr_listener *admin_listener; ///< its descriptor is the admin's
  int admin_fd;                       ///< and a copy of it, for whoever comes after us
  int signal_fd;
  struct wr_io signals;
  struct wr_io bell;
  struct wr_timer tick; ///< heartbeats and what else is done ten times a second
  struct wr_timer plan; ///< the next that the clock demands of a primitive, before the tick
  struct wr_timer drain;
  struct wr_watch watch; ///< of the live bundle's folders, with --watch
  struct wr_episodes episodes;
  struct wr_traffic traffic;
  struct wr_notify notify; ///< the service manager
  struct wr_list trials;   ///< struct wr_trial, those whose processes live
  struct wr_reload reload;
  struct wr_inspect inspect;
  struct wr_upgrade upgrade;
  struct wr_history history;
  struct wr_snapshot *snapshot;           ///< for the first generation; NULL: there is none
  struct wr_error state_error;            ///< why there is none
  int bundle;                             ///< of the live generation, -1 before the first
  uint64_t live;                          ///< number of the live generation
  struct wr_candidate_report live_report; ///< and its trial's
  uint64_t live_since_ns;
  uint64_t last_number;
  uint64_t started_ns;
  uint64_t started_wall_ns; ///< Unix time, for the metrics
  uint64_t swept_ns;
  uint64_t measured_ns; ///< when memory was measured
  uint64_t ticked_ns;
  bool is_stopping; ///< workers were told to leave at once
  bool is_draining;
  bool is_over;
  int exit_code;
  struct wr_error *failure; ///< the caller's: why a start failed
};

/// Runs until told to stop. Returns the exit code; when it is not 0 `error` says why.
int wr_master_run(const struct wr_settings *settings, struct wr_error *error);

/// Ends the master when it is draining and its last child is gone.
void wr_master_maybe_over(struct wr_master *m);

/// Stops everything now, with this exit code.
void wr_master_stop(struct wr_master *m, int exit_code);
