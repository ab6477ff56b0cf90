#pragma once
/// What a worker exports by OTLP: the spans of its requests, and what the master collects of all
/// processes (metrics, log lines). One worker's loop.

#include "observe/otlp_sender.h"
#include "policy/serve.h"

/// Failed requests a second of a worker whose traces are kept although they were not chosen.
enum { WR_TELEMETRY_FAILURES_MAX = 50 };

struct wr_telemetry {
  const struct wr_otlp_settings *settings; ///< NULL: nothing is exported
  struct wr_loop *loop;
  struct wr_otlp_sender sender;
  struct wr_otlp_batch spans;
  struct wr_timer flush;
  uint64_t second;   // when failures were counted from
  uint32_t failures; // kept since
};

/// Where nothing is on, nothing of the below does anything. `env` is borrowed, and knows the
/// sampler from here on.
void wr_telemetry_init(struct wr_telemetry *t, const struct wr_otlp_settings *settings,
                       struct wr_script_env *env);

/// A request is over.
void wr_telemetry_request(struct wr_telemetry *t, const struct wr_serving *s,
                          const struct wr_exchange_stats *stats);

/// Sends what the master collected: `records` of a signal, in the memfd `fd`, which stays the
/// caller's.
void wr_telemetry_forward(struct wr_telemetry *t, enum wr_otlp_signal signal, uint32_t records,
                          int fd);

/// Sends what is there; the loop may run dry after it. Then `wr_telemetry_fini`.
void wr_telemetry_leave(struct wr_telemetry *t);
void wr_telemetry_fini(struct wr_telemetry *t);
