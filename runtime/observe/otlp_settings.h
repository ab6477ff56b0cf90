#pragma once
/// What the environment says about OTLP: where signals go and how, of which service they are, which
/// requests are traced. The names are OpenTelemetry's.
///
/// Read once, before the first fork; immutable then. A variable that makes no sense is told of and
/// counts as unset: an environment is shared by programs, and no gateway stays down for its
/// telemetry.

#include "base/buf.h"
#include "http/uri.h"
#include "script/sampler.h"

#include <stdint.h>

struct wr_client_tls;

enum wr_otlp_signal { WR_OTLP_TRACES, WR_OTLP_METRICS, WR_OTLP_LOGS, WR_OTLP_SIGNALS };

enum {
  WR_OTLP_PAIRS_MAX = 64,    ///< header fields of a signal, and attributes of the resource
  WR_OTLP_LIST_MAX = 8192,   ///< bytes of each of these lists
  WR_OTLP_SERVICE_MAX = 256, ///< bytes of the service's name
  WR_OTLP_WARNINGS = 32,     ///< as many as there are variables
};

struct wr_otlp_pair {
  struct wr_str name, value;
};

struct wr_otlp_pairs {
  struct wr_otlp_pair items[WR_OTLP_PAIRS_MAX];
  size_t count;
};

/// Where a signal goes.
struct wr_otlp_target {
  bool is_on;
  bool is_json, is_gzip;
  uint64_t timeout_ns; ///< of one export
  struct wr_uri uri;
  struct wr_str target; ///< path and query
  struct wr_otlp_pairs headers;
  struct wr_client_tls *tls; ///< https: whom it trusts and what it shows; NULL: nothing is said
};

struct wr_otlp_settings {
  struct wr_otlp_target targets[WR_OTLP_SIGNALS];
  struct wr_otlp_pairs resource;
  struct wr_sampler sampler;
  uint64_t schedule_ns[WR_OTLP_SIGNALS]; ///< how long a record waits for others
  bool is_exponential; ///< histograms in seconds are exported with exponential buckets
  uint64_t queue_max;  ///< spans that a worker keeps
  uint64_t batch_max;  ///< spans of one export
  struct wr_otlp_pair warnings[WR_OTLP_WARNINGS]; ///< a variable, and what is wrong with it
  size_t warning_count;
  struct wr_region region; // all of the above's text
};

/// Reads the environment. Never fails; without an endpoint nothing is on. `seed`, random, names
/// this instance of the service.
void wr_otlp_settings_read(struct wr_otlp_settings *s, uint64_t seed);

/// Is any signal on?
bool wr_otlp_settings_is_on(const struct wr_otlp_settings *s);

/// Frees the text.
void wr_otlp_settings_fini(struct wr_otlp_settings *s);

/// "traces" and its like; constant text.
const char *wr_otlp_settings_signal(enum wr_otlp_signal signal);
