#pragma once
/// What a health probe says to a server, and what its answer means. Pure.

#include "base/error.h"
#include "base/str.h"
#include "resilience/health.h"

enum wr_probe_judgement {
  WR_PROBE_MORE, ///< the answer is not whole yet
  WR_PROBE_GOOD, ///< the server takes work
  WR_PROBE_BAD,  ///< it does not, or is none of its kind: the error says which
};

/// What is sent when the connection is there; empty when the connection alone is the answer.
struct wr_str wr_probe_hello(enum wr_health_type type);

/// Judges what has come back so far; `error` is set when it is BAD.
///
/// Redis: PONG is good, and so is an error that only a server at work gives (NOAUTH, NOPERM,
/// WRONGPASS); LOADING, MASTERDOWN, BUSY and every other error is bad.
/// PostgreSQL, after a StartupMessage: a request for authentication is good, and so is an error of
/// any class but 57P (starting up, shutting down, recovering) and 53 (too many connections): who
/// judges user, database and address accepts connections.
enum wr_probe_judgement wr_probe_judge(enum wr_health_type type, struct wr_str answer,
                                       struct wr_error *error);
