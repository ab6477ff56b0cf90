#pragma once
/// What was decided on the way of one request: for the access log, response fields and explain.
///
/// Filled by the bindings, read when the request is over. A member of its request, which is found
/// through it; child tasks share it.

#include "arena/registry.h"
#include "base/error.h"
#include "base/str.h"
#include "script/chain.h"
#include "script/trace.h"

enum { WR_TRAIL_NAME_MAX = 64 };

struct wr_trail {
  const char *route; ///< pattern of the route, a word of the meter; "" before it is known
  struct wr_str request_id;
  const struct wr_trace *trace;       ///< that it is a part of; NULL: of none
  uint32_t attempts;                  ///< outbound attempts started
  uint32_t retries;                   ///< attempts that a retry layer added
  uint32_t hedges;                    ///< attempts that a hedge layer added
  bool is_hedge;                      ///< one of these gave the answer
  uint32_t rung;                      ///< 1-based rung of a ladder that answered, 0 without ladder
  uint32_t rungs;                     ///< rungs of that ladder
  char rung_name[WR_TRAIL_NAME_MAX];  ///< its name
  char upstream[WR_TRAIL_NAME_MAX];   ///< last upstream asked
  char endpoint[WR_TRAIL_NAME_MAX];   ///< last endpoint asked
  char refused_by[WR_TRAIL_NAME_MAX]; ///< first primitive that refused, "breaker recommendations"
  char refused_policy[WR_TRAIL_NAME_MAX]; ///< the policy whose layer that was
  uint64_t refused_after_ns;              ///< when it might admit again, from then on; 0: unknown
  enum wr_error_kind error;               ///< first error seen on the way
  const char *why; ///< reason code when it is more precise than the error's: constant text; NULL
  struct wr_entry_ref chaos; ///< the last experiment it met
  bool is_hung_up;           ///< an experiment reset the client's connection
  uint32_t chaos_draws;      ///< how often
  uint64_t upstream_ns;      ///< time spent waiting for response heads
  uint64_t queue_ns;         ///< time spent in queues of ours
  uint64_t lua_cycles;       ///< of the processor in Lua (base/cycles.h)
  size_t grown;              ///< bytes that it added to the state (wr_vm_leave)
  struct wr_str message;     ///< of the error; empty
  struct wr_chain chain;     ///< all of it, step by step
};

/// Copies `text` into one of the name fields, cut at its size.
void wr_trail_name(char field[WR_TRAIL_NAME_MAX], struct wr_str text);

/// Notes the first error of a request and who it came from.
void wr_trail_error(struct wr_trail *trail, const struct wr_error *error);
