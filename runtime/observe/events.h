#pragma once
/// Things that happened, as log lines and counters; and what a worker samples about itself.

#include "http/server.h"
#include "policy/serve.h"

/// A primitive changed its state. `meter` may be NULL (the caller then does not count).
void wr_events_primitive(struct wr_log *log, struct wr_meter *meter, struct wr_entry *entry,
                         const union wr_guard_event *event);

/// Gauges and counters of this worker: connections, refused requests, loop lag, Lua memory. A few
/// times a second; `last` is what was counted before and is brought up to date.
void wr_events_sample(struct wr_script_env *env, const struct wr_server *server,
                      const struct wr_serve *serve, struct wr_server_stats *last);
