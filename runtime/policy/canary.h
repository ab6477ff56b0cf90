#pragma once
/// A generation on probation: it serves a share of the requests beside the live one.
///
/// Sticky: who sends the same key, a header's value or else the address of the client, is served by
/// the same generation, whichever worker and connection it comes by. One worker's loop.

#include "http/exchange.h"
#include "policy/generation.h"

enum {
  WR_CANARY_WHOLE = 10000,   ///< the share that is everybody
  WR_CANARY_HEADER_SIZE = 64 ///< of a name, with its NUL
};

/// Who is served by it; part of a message.
struct wr_canary_plan {
  uint32_t share;                     ///< of WR_CANARY_WHOLE; 0: there is no canary
  uint32_t reserved;                  ///< 0
  char header[WR_CANARY_HEADER_SIZE]; ///< "": the client's address is the key
};

/// Reads a plan: `share` is a percentage above 0 and up to 50, with "%" or without; `header` names
/// one, or is empty. False with a set error.
bool wr_canary_plan_parse(struct wr_str share, struct wr_str header, struct wr_canary_plan *plan,
                          struct wr_error *error);

struct wr_canary {
  struct wr_generation *generation; ///< NULL: there is none
  struct wr_canary_plan plan;
};

/// Whether it serves this request. `live` says whom to believe about the client's address.
bool wr_canary_picks(const struct wr_canary *c, const struct wr_generation *live,
                     const struct wr_exchange_info *info);
