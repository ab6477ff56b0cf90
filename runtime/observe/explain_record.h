#pragma once
/// The record of a request in the journal: a head, its texts, then the links of its chain with
/// theirs. Private to explain.c and explain_read.c.
///
/// A text is its length in two bytes, then the bytes. Who reads believes nothing: the memory is the
/// workers'.

#include <stdint.h>

enum { WR_EXPLAIN_TEXT_MAX = 1024 }; ///< bytes of a text; the rest is cut

/// Texts of a record, in their order.
enum wr_explain_text {
  WR_EXPLAIN_ID,
  WR_EXPLAIN_TRACE,
  WR_EXPLAIN_METHOD,
  WR_EXPLAIN_PATH,
  WR_EXPLAIN_ROUTE,
  WR_EXPLAIN_CLIENT,
  WR_EXPLAIN_WHY,
  WR_EXPLAIN_ERROR,
  WR_EXPLAIN_MESSAGE,
  WR_EXPLAIN_TEXTS
};

/// Texts of a link.
enum wr_explain_link_text {
  WR_EXPLAIN_KIND,
  WR_EXPLAIN_RESULT,
  WR_EXPLAIN_NAME,
  WR_EXPLAIN_POLICY,
  WR_EXPLAIN_DETAIL,
  WR_EXPLAIN_REASON,
  WR_EXPLAIN_LINK_TEXTS
};

struct wr_explain_head {
  uint64_t wall_ns; ///< when it began
  uint64_t took_ns;
  uint64_t generation;
  uint32_t left_out; ///< links that found no room
  uint16_t links;
  uint16_t status;
};

struct wr_explain_link {
  uint64_t at_ns;   ///< since the request began
  uint64_t took_ns; ///< UINT64_MAX: it was under way when the request ended
  uint64_t delay_ns;
  uint16_t number;
  uint16_t status;
  uint32_t what; ///< enum wr_decision
};
