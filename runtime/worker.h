#pragma once
/// A worker: one process, one loop, one thread of work. Serves clients with the live generation and
/// does what the master says through its mailbox.

#include "loop/mailbox.h"
#include "services.h"

/// Messages of the master, with the generation's number in `number`, and the worker's answers.
enum wr_worker_message {
  WR_WORKER_LISTEN,   ///< payload: address; with a listening descriptor
  WR_WORKER_UNLISTEN, ///< payload: address
  WR_WORKER_PREPARE,  ///< load this generation; with the packed bundle
  WR_WORKER_SHADOW,   ///< load it to decide beside the live one; with the packed bundle
  WR_WORKER_CANARY,   ///< serve a share with it; payload: struct wr_canary_plan
  WR_WORKER_COMMIT,   ///< swap to it
  WR_WORKER_DISCARD,  ///< forget it
  WR_WORKER_DRAIN,    ///< finish what is under way, then leave
  WR_WORKER_STOP,     ///< leave now
  WR_WORKER_RETIRE,   ///< another serves from now on: finish, lose no request of an idle client,
                      ///< leave
  // answers
  WR_WORKER_PREPARED, ///< it is loaded
  WR_WORKER_FAILED,   ///< payload: why it is not (struct wr_worker_failure)
  WR_WORKER_LIVE,     ///< swapped
  // of the master again; at the end, so that another program's workers know the numbers above
  WR_WORKER_EXPORT, ///< payload: struct wr_worker_export; with what is to be sent to a collector
};

struct wr_worker_export {
  uint32_t signal;  ///< enum wr_otlp_signal
  uint32_t records; ///< in it
};

struct wr_worker_failure {
  char stage[16];
  struct wr_script_error error;
};

/// Runs a worker until it is told to leave, or the master is gone. `fd` is its end of the mailbox.
/// For a freshly forked child; returns the exit code.
int wr_worker_run(struct wr_arena *a, uint32_t slot, const struct wr_settings *settings, int fd);
