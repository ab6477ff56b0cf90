#pragma once
/// What weir does at this moment, in a few numbers, from a status: for `weir stat` and the head of
/// `weir top`.

#include "cli/options.h"

#include <jansson.h>

/// How weir is, the worst that applies.
enum wr_snapshot_word {
  WR_SNAPSHOT_OK,
  WR_SNAPSHOT_DEGRADED,  ///< a breaker is not closed, an endpoint is out, a check is down, errors
  WR_SNAPSHOT_SHEDDING,  ///< requests are refused before their handler
  WR_SNAPSHOT_DRAINING,  ///< it is about to stop
  WR_SNAPSHOT_NOT_READY, ///< no generation serves
};

struct wr_snapshot {
  enum wr_snapshot_word word;
  double at_s;                ///< when it was taken: uptime of weir
  double requests, errors;    ///< since weir started
  double per_s, error_ratio;  ///< of the last ten seconds, or since the snapshot before
  double p50_s, p95_s, p99_s; ///< of the last ten seconds; NAN without requests
  double active;              ///< requests being served
  double queued;              ///< calls that wait for a bulkhead, a shedder or a limiter
  double lag_s;               ///< of the worst worker
  double sheds;               ///< classes of requests, of the worst worker
  double memory;              ///< bytes of all processes
  int breakers, breakers_out; ///< all, and those that do not admit everything
  int endpoints, endpoints_out;
  int workers, workers_live;
  int generation;
};

/// Reads a status.
void wr_snapshot_read(struct wr_snapshot *s, const json_t *status);

/// Makes rates those since `before`, an earlier snapshot of the same weir; leaves them alone when
/// it was started anew meanwhile.
void wr_snapshot_since(struct wr_snapshot *s, const struct wr_snapshot *before);

/// "ok", "degraded", …
const char *wr_snapshot_word_name(enum wr_snapshot_word word);

/// Asks the running weir for a status; the caller's. NULL with the exit code in `*code` for an
/// error that was told of on stderr.
json_t *wr_snapshot_fetch(const struct wr_options *o, int *code);
