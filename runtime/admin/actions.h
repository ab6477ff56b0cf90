#pragma once
/// What an operator may do to a named primitive, by the rows of tables/actions.def.

#include "arena/registry.h"

/// One order. Borrowed.
struct wr_action_call {
  struct wr_registry *registry;
  struct wr_entry *entry;
  struct wr_str value; ///< the argument; absent when none was given
  const char *by;      ///< who orders it
  uint64_t now_ns;
};

/// One row of the table.
struct wr_action {
  enum wr_kind kind;
  const char *verb;
  const char *argument; ///< "" for none, in brackets when it may be left out
  const char *told;     ///< what is so once it was done
  /// Does it. False with a set error (invalid: the value; closed: the primitive is gone).
  bool (*run)(const struct wr_action_call *call, struct wr_error *error);
};

/// The row of `verb` for `kind`, or NULL.
const struct wr_action *wr_action_find(enum wr_kind kind, struct wr_str verb);

/// Finds the primitive and does it. False with a set error: no_endpoint when there is no primitive
/// of that name, else what the row's function said.
bool wr_action_run(const struct wr_action *action, struct wr_str name,
                   const struct wr_action_call *call, struct wr_error *error);

/// Reads a value as a whole number from 1 to `max`. False with a set error.
bool wr_action_number(struct wr_str value, uint32_t max, uint32_t *out, struct wr_error *error);

#define WR_ACTION(ENUM, KIND, kind, verb, argument, doc, told)                                     \
  bool wr_actions_##kind##_##verb(const struct wr_action_call *call, struct wr_error *error);
#include "tables/actions.def"
#undef WR_ACTION
