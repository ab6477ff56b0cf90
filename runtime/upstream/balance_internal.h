#pragma once
/// One choice under way, for balance*.c.

#include "upstream/balance.h"

/// What is asked of a place; each level asks for less.
enum wr_balance_level {
  WR_BALANCE_FIT,   ///< not tried by this request, and not just refused a connect
  WR_BALANCE_FRESH, ///< not tried by this request
  WR_BALANCE_ANY,   ///< not out, and below its connection limit
};

struct wr_balance_choice {
  struct wr_balance *balance;
  struct wr_balance_group *group;
  const struct wr_balance_ask *ask;
  enum wr_balance_level level;
};

/// Whether a place may be chosen at this level.
bool wr_balance_accepts(const struct wr_balance_choice *c, const struct wr_balance_place *p);

/// By the rule, one that is accepted; NULL when there is none.
struct wr_balance_place *wr_balance_choose(const struct wr_balance_choice *c);
