#pragma once
/// The decision chain of one request: what its layers, queues, attempts and rungs decided, in the
/// order in which they began; for explain and for traces.
///
/// Lives in the memory of its request, to its end. The worker's loop only. Everything that decides
/// adds a link; nothing decides by it. Its texts outlive the generation that decided: they are
/// constant, words of the meter, or copies by `wr_chain_text`.

#include "base/region.h"

#include <stdint.h>

enum wr_decision {
#define WR_DECISION(ENUM, name, doc) WR_DECISION_##ENUM,
#include "tables/decisions.def"
#undef WR_DECISION
  WR_DECISIONS
};

enum {
  WR_CHAIN_MAX = 256,       ///< links of a chain; further ones are counted only
  WR_CHAIN_NONE = -1,       ///< no link
  WR_CHAIN_LINE_MAX = 2048, ///< bytes
};

struct wr_chain_link {
  uint8_t what;         ///< enum wr_decision
  uint16_t number;      ///< of an attempt or a rung, from 1; 0: it has none
  uint16_t status;      ///< of the response of an attempt; 0: none
  int32_t inside;       ///< index of the layer that it was decided in, WR_CHAIN_NONE: in none
  struct wr_str kind;   ///< of the primitive; empty of others
  struct wr_str result; ///< empty while it is under way
  struct wr_str name;   ///< of the primitive, the upstream, the rung
  struct wr_str policy; ///< whose layer it was; empty: of none
  struct wr_str detail; ///< the endpoint of an attempt; the limit of a layer of time
  struct wr_str url;    ///< of an attempt, without its query, where we trace; else empty
  struct wr_str why;    ///< in words, of what was refused or failed
  const char *method;   ///< constant text: of an attempt (wr_method_name); "" of others
  uint64_t begun_ns;    ///< monotonic
  uint64_t ended_ns;    ///< the same as begun_ns when it took no time; 0 while it is under way
  uint64_t delay_ns;    ///< how long a retry waits, or an experiment holds the call up
  uint64_t left_ns;     ///< when the layer that was entered by it was left; 0: not yet, or none was
};

struct wr_chain {
  struct wr_region *region; ///< NULL: nothing is kept
  struct wr_chain_link *links;
  uint32_t count;
  uint32_t room;
  uint32_t left_out; ///< links that found no room
};

/// Adds a link that is over and returns it for the rest to be filled in; valid until the next one
/// is added. NULL when nothing is kept, or it is full.
struct wr_chain_link *wr_chain_add(struct wr_chain *c, enum wr_decision what, struct wr_str name,
                                   uint64_t now_ns);

/// The index of a link, by which it is found when others were added.
int wr_chain_index(const struct wr_chain *c, const struct wr_chain_link *link);

/// A link by its index, NULL for WR_CHAIN_NONE.
struct wr_chain_link *wr_chain_at(struct wr_chain *c, int index);

/// A copy in the memory of the chain; empty when there is no room.
struct wr_str wr_chain_text(struct wr_chain *c, struct wr_str text);

/// What it holds so far in one line, in its own memory, cut at WR_CHAIN_LINE_MAX; for
/// X-Weir-Explain. Absent when there is no room.
struct wr_str wr_chain_line(struct wr_chain *c);

/// The name of a decision: constant text.
const char *wr_chain_decision(enum wr_decision what);
