#pragma once
/// The user that weir runs as when root starts it (`--user NAME[:GROUP]`).

#include "base/error.h"

#include <sys/types.h>

enum { WR_USER_NAME_SIZE = 64 };

struct wr_user {
  char name[WR_USER_NAME_SIZE]; ///< as given, without the group
  uid_t uid;
  gid_t gid;
  bool is_named; ///< in the system's list: has further groups, maybe
};

/// Looks up "NAME", "NAME:GROUP" or numbers in their place; the group is that of the user unless
/// given, and must be given with a number that nobody has. False with an error that says what to
/// write instead.
bool wr_user_find(struct wr_user *user, const char *text, struct wr_error *error);

/// Becomes that user, with its groups, for good. The permitted capabilities stay, the effective
/// ones do not: see confine/capabilities.h. Nothing happens when the process is that user already.
/// False with an error that says what to do; the process must end then.
bool wr_user_become(const struct wr_user *user, struct wr_error *error);
