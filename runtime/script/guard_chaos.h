#pragma once
/// Asking an experiment through the guard; see resilience/chaos.h. An entry that is gone injects
/// nothing.

#include "resilience/chaos.h"
#include "script/guard.h"

/// Whether it may be armed, without its lock: a glance that spares most calls the rest.
bool wr_guard_chaos_glance(const struct wr_entry *entry);

/// What happens to a call; see wr_chaos_decide.
struct wr_chaos_verdict wr_guard_chaos_decide(struct wr_guard *g, struct wr_entry *entry,
                                              uint64_t draw, uint64_t now_ns);

/// A request that met it is over.
void wr_guard_chaos_report(struct wr_guard *g, struct wr_entry_ref ref, bool has_failed,
                           uint64_t now_ns);

/// The scripts that declare it went live.
void wr_guard_chaos_start(struct wr_guard *g, struct wr_entry *entry, uint64_t now_ns);

/// Arms or disarms it, in any process; whoever looks at it next tells. False with a set error when
/// it is gone or must not be armed.
bool wr_guard_chaos_set(struct wr_registry *r, struct wr_entry *entry, bool is_on, uint64_t now_ns,
                        struct wr_error *error);
