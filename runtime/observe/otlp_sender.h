#pragma once
/// Sends payloads to collectors over the worker's own transports: one at a time of each signal,
/// again after a pause when the collector cannot take them now, and never more of them kept than a
/// bound.
///
/// Nothing of a request waits for it; what is lost is counted (`weir_telemetry_dropped_total`). One
/// worker's loop.

#include "base/duration.h"
#include "loop/timer.h"
#include "observe/otlp_batch.h"
#include "resilience/backoff.h"
#include "script/meter.h"
#include "script/script.h"
#include "upstream/transport.h"

enum {
  WR_OTLP_QUEUE_MAX = 8 * 1024 * 1024, ///< bytes of payloads of a signal that wait
  WR_OTLP_ATTEMPTS_MAX = 5,            ///< times that a payload is sent
};

#define WR_OTLP_PAUSE_MAX (60 * WR_SECOND) ///< of what Retry-After asks for
#define WR_OTLP_FAREWELL (WR_SECOND)       ///< for what is still to be sent when a worker leaves

struct wr_otlp_sender;

struct wr_otlp_lane {
  struct wr_otlp_sender *sender;
  enum wr_otlp_signal signal;
  struct wr_list queue; // struct wr_otlp_payload; the first is the one that is being sent
  size_t bytes;
  uint32_t records; ///< read-only: of all of them
  uint32_t open;    ///< read-only: records that are not in a payload yet
  struct wr_transfer *transfer;
  struct wr_timer timer; // of the pause before the next attempt, or of the farewell
  struct wr_backoff backoff;
  int status;
  struct wr_buf answer; // what the collector says beside its status
  uint64_t after_ns;    // what the collector asked for
  bool is_failing;      // what was told last
};

struct wr_otlp_sender {
  const struct wr_otlp_settings *settings;
  struct wr_script_env *env;
  bool is_leaving; // each payload is sent once more, and not for long
  struct wr_otlp_lane lanes[WR_OTLP_SIGNALS];
};

/// Everything is borrowed.
void wr_otlp_sender_init(struct wr_otlp_sender *s, const struct wr_otlp_settings *settings,
                         struct wr_script_env *env);

/// Takes a payload over, or drops and counts it.
void wr_otlp_sender_put(struct wr_otlp_sender *s, struct wr_otlp_payload *payload);

/// Says how many records of a signal are not in a payload yet, so that they are known to be lost
/// should this process die.
void wr_otlp_sender_note(struct wr_otlp_sender *s, enum wr_otlp_signal signal, uint32_t open);

/// Counts records that are lost.
void wr_otlp_sender_drop(struct wr_otlp_sender *s, enum wr_otlp_signal signal, uint32_t records,
                         const char *reason);

/// The worker leaves: what is kept is sent within WR_OTLP_FAREWELL, or dropped. The loop then runs
/// dry.
void wr_otlp_sender_leave(struct wr_otlp_sender *s);

/// Drops what is left.
void wr_otlp_sender_fini(struct wr_otlp_sender *s);
