#pragma once
/// What a process needs to run scripts: loop, log, random numbers, shared state, outbound HTTP.
///
/// Built once in each worker and in each candidate; scripts borrow it through `env`.

#include "arena/arena.h"
#include "base/log_repeats.h"
#include "confine/confine.h"
#include "loop/virtual.h"
#include "notify.h"
#include "script/meter.h"
#include "script/script.h"
#include "upstream/endpoint.h"
#include "upstream/resolver.h"

struct wr_handover;
struct wr_otlp_settings;

/// Settings of the whole program, from the command line; immutable.
struct wr_settings {
  const char *file;             ///< main script
  char *program;                ///< path that the program was started by
  char **arguments;             ///< behind it on the command line, ended by NULL
  struct wr_handover *handover; ///< what the program before us left; NULL: there was none
  const char *admin;            ///< address of the admin listener
  const char *admin_token;      ///< that callers over TCP must show, NULL: none
  uint32_t workers;
  bool allow_chaos; ///< experiments may be applied
  bool watch;       ///< reload when a file of the bundle changes
  enum wr_log_level log_level;
  enum wr_log_format log_format;
  const char *dns;          ///< name servers, NULL for the system's
  const char *ca_file;      ///< trusted roots, NULL for the system's
  const char *state;        ///< where named state outlives the program, NULL: nowhere
  uint64_t descriptors;     ///< how many a process may have open
  uint32_t connections;     ///< client connections of a worker, as far as descriptors allow
  uint64_t drain_ns;        ///< how long a stop waits for requests under way
  uint64_t session_keys_ns; ///< how often the keys of TLS session tickets change
  uint64_t heartbeat_ns;    ///< a worker whose loop is silent for longer is replaced
  const struct wr_otlp_settings *otlp; ///< where telemetry goes, NULL: nowhere
  const struct wr_library *library;    ///< compiled once for all states, NULL: each compiles it
  struct wr_confine_options confine;
  struct wr_notify_options notify; ///< the service manager
};

struct wr_services {
  struct wr_loop loop;
  struct wr_log log;
  struct wr_log_repeats repeats;
  struct wr_rng rng;
  struct wr_registry registry;
  struct wr_guard guard;
  struct wr_endpoints endpoints;
  struct wr_meter meter;
  struct wr_resolver *resolver;
  struct wr_outbound_tls *outbound_tls;
  struct wr_transport *transport;
  struct wr_script_env env; ///< read-only: pointers to the above
};

/// For whom services are opened; everything is borrowed.
struct wr_services_owner {
  struct wr_arena *arena;
  uint32_t slot; ///< of the arena
  const struct wr_settings *settings;
  struct wr_guard_callbacks callbacks;
  struct wr_virtual *clock; ///< of virtual time, and then nothing is logged or left to chance; NULL
};

/// Opens everything. False with a set error.
bool wr_services_init(struct wr_services *s, const struct wr_services_owner *owner,
                      struct wr_error *error);

/// Closes everything; scripts must be gone. Logs the names of handles left open and returns their
/// number.
size_t wr_services_fini(struct wr_services *s);
